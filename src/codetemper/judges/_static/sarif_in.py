# SPDX-License-Identifier: Apache-2.0
"""SARIF 2.1.0 in: the findings of other tools.

Rule, message, weakness, place and level are kept; code flows are passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from codetemper.core.errors import UsageError
from codetemper.core.records import Finding
from codetemper.judges._static.families import normal

_TAG = re.compile(r"(?:external/cwe/)?cwe[-_:/ ]?0*(\d+)", re.IGNORECASE)


def read_file(path: Path) -> list[Finding]:
    """Read the findings of a SARIF file.

    Raises:
        UsageError: there is no such file, or it is not SARIF 2.1.0.
    """
    try:
        data = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read as SARIF", why=str(error), mend="give the path of a SARIF file"
        ) from error
    return read(data, path.stem)


def read(data: Any, name: str) -> list[Finding]:
    """Return the findings of a SARIF log; rules are named ``<tool>:<rule>``.

    Results that are suppressed, or of a kind that is no finding (``pass``), are left out.

    Args:
        data: the parsed document.
        name: of the tool, where the document has none.

    Raises:
        UsageError: the document is not SARIF 2.1.0.
    """
    if not isinstance(data, dict) or not str(data.get("version", "")).startswith("2.1"):
        raise UsageError(
            "this is not a SARIF 2.1.0 log",
            why="it has no member version with 2.1.0",
            mend="let the analyser write SARIF 2.1.0",
        )
    try:
        return [finding for run in data.get("runs") or [] for finding in _read_run(run, name)]
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise UsageError(
            "the SARIF log is malformed",
            why=f"{type(error).__name__}: {error}",
            mend="validate it against the schema of SARIF 2.1.0",
        ) from error


def _read_run(run: dict[str, Any], name: str) -> Iterator[Finding]:
    tool = run.get("tool") or {}
    driver = tool.get("driver") or {}
    label = "-".join(str(driver.get("name") or name).lower().split())
    parts = [driver, *(tool.get("extensions") or [])]
    rules = {rule["id"]: rule for part in parts for rule in part.get("rules") or []}
    own = driver.get("rules") or []
    for result in run.get("results") or []:
        if result.get("suppressions") or result.get("kind", "fail") not in ("fail", "review"):
            continue
        index = result.get("ruleIndex", -1)
        id = result.get("ruleId") or (result.get("rule") or {}).get("id")
        rule = rules.get(id) or (own[index] if 0 <= index < len(own) else {})
        id = id or rule.get("id") or "result"
        level = result.get("level") or (rule.get("defaultConfiguration") or {}).get("level")
        region, uri = _place(result)
        yield Finding(
            rule=f"{label}:{id}",
            message=" ".join(_message(result, rule).split())[:200],
            cwe=_weakness(result, rule),
            line=region.get("startLine"),
            column=region.get("startColumn"),
            path=uri,
            severity="note" if level in ("note", "none") else "warning",
        )


def _place(result: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    for location in result.get("locations") or []:
        place = location.get("physicalLocation") or {}
        uri = (place.get("artifactLocation") or {}).get("uri")
        if uri:
            return place.get("region") or {}, unquote(urlsplit(uri).path)
    return {}, None


def _message(result: dict[str, Any], rule: dict[str, Any]) -> str:
    said = result.get("message") or {}
    if said.get("text"):
        return str(said["text"])
    texts = rule.get("messageStrings") or {}
    text = str((texts.get(said.get("id")) or {}).get("text", rule.get("id", "")))
    for number, value in enumerate(said.get("arguments") or []):
        text = text.replace(f"{{{number}}}", str(value))
    return text


def _weakness(result: dict[str, Any], rule: dict[str, Any]) -> str | None:
    """Return the weakness a result names: in a tag, a taxon, or a property ``cwe``."""
    for part in (result, rule):
        properties = part.get("properties") or {}
        words = [properties.get("cwe"), *(properties.get("tags") or [])]
        taxa = [*(part.get("taxa") or []), *(r.get("target") or {} for r in part.get(
            "relationships") or [])]  # fmt: skip
        for taxon in taxa:
            if "cwe" in str((taxon.get("toolComponent") or {}).get("name", "")).lower():
                words.append(f"cwe-{taxon.get('id')}")
        for word in words:
            for text in word if isinstance(word, list) else [word]:
                found = _TAG.search(str(text or ""))
                if found:
                    return normal(found[1])
    return None
