# SPDX-License-Identifier: Apache-2.0
"""Models as things: names, anatomy, patches, and the scope in which patches are active.

``expression`` names a model state with one string, ``anatomy`` says where an architecture keeps
its parts, ``patch`` is the folder form of a change, ``attach`` switches changes on and off exactly.
Loading weights and generating text are the business of ``codetemper.backends``. Importing this
package loads no torch; its modules do, except ``expression``.
"""
