"""Whatever stands in a plan, reading it ends in a plan and problems with lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pytest_phases.plan.checks import check
from pytest_phases.plan.markdown import read_markdown
from pytest_phases.plan.toml import read_toml
from pytest_phases.plan.toml_write import write_toml

MARKDOWN_LINES = """\
# Title
### Phase 1: A
### Phase 2: B
### Phase 2 colonless
### Phase unphased: C
#### Stream A: x
#### Stream B: y
##### Details
### Sync: s
### Gate: g
## Prose
dependencies: [1]
dependencies: []
dependancies: [1]
deps:
deps: [1/A]
deps: [A]
- 1
- [ ] task
- dependencies: [1]
  - nested
tests: [a.py, -m slow]
Tests: unit
tests:
coverage: 85
coverage: high
coverage: ratchet
serialize: true
enforce: true
enforce: false
enforce: as a rule
env: [CC]
env: [1]
locks: [db]
reads: [docs]
modifies: [src]
requires: [env:X]
serial: true
timeout: 10m
phases: [1]
allow_empty: true
allow_empty: [7]
approvals: [me, me]
approvals_signers: keys
Build: wheel
**Testing:**
Deploy:
needs: [wheel]
```bash
```
~~~
````
pytest a.py
make
# comment
---
===
    dependencies: [1]
> quote
<!-- remark -->
<div>
**Objective**: words
Tasks:
""".split("\n")

TOML_LINES = """\
[[phase]]
[phase]
id = "1"
id = 2
id = 1.5
name = 3
dependencies = ["1"]
dependencies = [1.0]
tests = [
"x",
]
coverage = nan
coverage = "ratchet"
serialize = true
enforce = true
enforce = "maybe"
env = ["CC", ""]
timeout = 0xffffffffffffffffffff
tasks = [1]
[[phase.stage]]
crew = "build"
run = '''
'''
[[phase.stream]]
stream = 3
[[sync]]
after = "1"
[gate]
[[gate]]
phase = 1
""".split("\n")

any_markdown = st.one_of(
    st.text(),
    st.lists(st.one_of(st.sampled_from(MARKDOWN_LINES), st.text(max_size=10)), max_size=30).map("\n".join),
    st.lists(st.sampled_from(MARKDOWN_LINES), max_size=30).map("\n".join),
)
any_toml = st.one_of(st.text(), st.lists(st.sampled_from(TOML_LINES), max_size=20).map("\n".join))


@given(any_markdown)
def test_any_text_can_be_read_as_markdown(text: str) -> None:
    """Nothing is raised, every problem has a line of the text, and a sound plan survives being TOML."""
    plan, problems = read_markdown(text, "plan.md")
    last = text.count("\n") + text.count("\r") + 1
    assert all(problem.place is not None and 1 <= problem.place.line <= last for problem in problems)
    if not check(plan) and not problems:
        again, mistakes = read_toml(write_toml(plan), "plan.toml")
        assert mistakes == ()
        assert write_toml(again) == write_toml(plan)


@given(any_toml)
def test_any_text_can_be_read_as_toml(text: str) -> None:
    """Nothing is raised, and every problem has a line of the text."""
    plan, problems = read_toml(text, "plan.toml")
    check(plan)
    last = text.count("\n") + 1
    assert all(problem.place is not None and 1 <= problem.place.line <= last for problem in problems)


@given(st.lists(st.sampled_from(MARKDOWN_LINES), max_size=30).map("\n".join), st.data())
def test_a_truncated_plan_can_be_read(text: str, data: st.DataObject) -> None:
    """A file that an editor was just saving is no reason for a traceback."""
    check(read_markdown(text[: data.draw(st.integers(0, len(text)))], "plan.md")[0])
