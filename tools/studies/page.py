"""Pages with generated parts between hand-written ones, and how figures are written in them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from archgym.statistics import Estimate
from studies.data import Study

_PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(page: str, parts: Mapping[str, str]) -> str:
    """Returns a page with new content between its markers.

    Args:
        page: with `<!-- generated: NAME -->` and `<!-- end -->` around each generated part.
        parts: content by name.

    Raises:
        ValueError: if the page's markers and the parts are not the same.
    """
    if sorted(names(page)) != sorted(parts):
        raise ValueError(f"the page has the markers {sorted(names(page))}, drawn {sorted(parts)}")
    return _PART.sub(lambda found: f"{found[1]}\n{parts[found[2]].strip()}\n\n{found[3]}", page)


def names(page: str) -> list[str]:
    """Returns the names of a page's generated parts."""
    return [name for _, name, _ in _PART.findall(page)]


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def percent(share: float) -> str:
    """Returns a share as a number of percent, two digits of it where it is small."""
    if not math.isfinite(share):
        return "none" if share > 0 else "–"
    value = 100.0 * share
    if value == 0.0:
        return "0"
    if abs(value) < 0.001:
        return "<0.001"
    return f"{value:.0f}" if abs(value) >= 99.5 else f"{value:.2g}"


def interval(estimate: Estimate | None) -> str:
    """Returns an estimate and its interval in percent."""
    if estimate is None:
        return "–"
    value, low, high = map(percent, (estimate.value, estimate.low, estimate.high))
    return value if value == low == high else f"{value} ({low} to {high})"


def count(number: float) -> str:
    """Returns a number of samples."""
    return f"{number:,.0f}" if math.isfinite(number) else "never"


def hours(seconds: float) -> str:
    """Returns a duration."""
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def status(study: Study) -> str:
    """Returns how much of a study there is and how long it took."""
    done, seconds = len(study.runs), study.meta["seconds"]
    spent = (
        f"{hours(seconds['wall'])} in which runs were going on; "
        f"{hours(seconds['agent'])} in the search methods and {hours(seconds['evaluation'])} in "
        f"the cost model, summed over runs"
    )
    if done == study.planned:
        return f"All {done:,} runs are complete. It took {spent}."
    tasks = ", ".join(study.short(task) for task in study.complete_tasks()) or "none"
    return (
        f"**Partial results**: {done:,} of {study.planned:,} runs are complete. Tasks with all "
        f"runs: {tasks}. What is shown has all of its seeds. So far it took {spent}."
    )
