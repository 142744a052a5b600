"""A report as JUnit XML, the form that continuous integration reads: one case for each check."""

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree


def as_junit(report: Mapping[str, Any]) -> bytes:
    """UTF-8. A failure that does not count towards the verdict is a case that passed, with its reason in system-out."""
    checks = report["checks"]
    broken = [each for each in checks if each["counts"]]
    suite = ElementTree.Element(
        "testsuite",
        name=f"u3v conform {report['target']}",
        tests=str(len(checks)),
        failures=str(sum(each["result"] == "fail" for each in broken)),
        errors=str(sum(each["result"] == "error" for each in broken)),
        skipped=str(sum(each["result"] == "skip" for each in checks)),
    )
    for each in checks:
        family = each["id"].rpartition("-")[0]
        took_s = f"{each['took_ms'] / 1000:.3f}"
        case = ElementTree.SubElement(suite, "testcase", classname=family, name=each["id"], time=took_s)
        if each["counts"]:
            kind = "failure" if each["result"] == "fail" else "error"
            problem = ElementTree.SubElement(case, kind, message=_clean(each["reason"]))
            lines = [f"{each['done']}: {each['criterion']} ({each['clause']})"]
            lines += [f"{line['what']}  {line['bytes']}  {line['means']}" for line in each["evidence"][-8:]]
            problem.text = _clean("\n".join(lines))
        elif each["result"] == "skip":
            ElementTree.SubElement(case, "skipped", message=_clean(each["reason"]))
        elif each["result"] != "pass":
            text = f"{each['severity']}: {each['reason']}"
            ElementTree.SubElement(case, "system-out").text = _clean(text)
    return bytes(ElementTree.tostring(suite, "utf-8", xml_declaration=True))


def _clean(text: str) -> str:
    """Without what XML 1.0 cannot carry: a camera's strings are anything."""
    return "".join(
        letter if letter in "\t\n" or letter >= " " else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
