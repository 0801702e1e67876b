# SPDX-License-Identifier: Apache-2.0
"""The program that runs within a sandbox, on the standard library alone.

It takes one request a time on its standard input, runs it in a process of its own with limits, and
answers on its standard output. It never learns what result a test expects. It must not be imported
by the rest of the package.
"""
