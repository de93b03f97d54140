"""The documents name what is there: files, links and headings, commands with their options, make's goals."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer.main

from synth_spark.cli import app
from tests.plain.bundle_checks import jobs, read_bundle

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
REFERENCE = ROOT / "docs" / "cli.md"  # made from the command line itself, see the last test
ROOMS = ("docs", "conf", "tests", "synth_spark", "benchmarks", "jobs", "notebooks")
NAMED = re.compile(rf"`((?:{'|'.join(ROOMS)})/[\w./*-]+)`")
LINK = re.compile(r"\[[^\]\n]+\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`]+)`")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose_of(path: Path) -> str:
    return FENCED.sub("", path.read_text(encoding="utf-8"))


def commands_of(path: Path, program: str) -> Iterator[list[str]]:
    """Words after `program`, of every such command in fenced blocks and between backticks."""
    text = path.read_text(encoding="utf-8")
    lines = [line for block in FENCED.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    lines += [" ".join(code.split()) for code in INLINE.findall(prose_of(path))]
    for line in lines:
        for command in re.split(r"&&|;|\|", line.split("  #")[0]):
            words = shlex.split(command.strip().removeprefix("$ "), comments=True) if balanced(command) else []
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):  # variables of the environment
                words = words[1:]
            if words and words[0].removeprefix(".venv/bin/") == program and len(words) > 1:
                yield words[1:]


def balanced(command: str) -> bool:
    """Whether its quotes are closed: prose between backticks need not be a command."""
    return not any(command.count(mark) % 2 for mark in "\"'")


def slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def complaint(words: list[str]) -> str | None:
    """What is wrong with a command of synth-spark: a command or an option that there is not."""
    command: Any = typer.main.get_command(app)  # typer brings its own click
    rest = list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        known = command.commands.get(rest[0])
        if known is None:
            return f"no command {rest[0]!r} in {command.name}"
        command, rest = known, rest[1:]
    options = {"--help", *(option for parameter in command.params for option in parameter.opts)}
    unknown = [word for word in rest if word.startswith("--") and word.split("=")[0] not in options]
    return f"no option {unknown[0]} of {command.name}" if unknown else None


def test_the_complaints_are_real() -> None:
    assert complaint(["walk", "conf/cdnow.yml"]) and complaint(["run", "conf/cdnow.yml", "--fast"])
    assert complaint(["runs", "lose"]) and not complaint(["runs", "delete", "CONFIG", "RUN", "--yes"])


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_files_that_are_named_exist(document: Path) -> None:
    missing = [name for name in NAMED.findall(document.read_text(encoding="utf-8")) if not list(ROOT.glob(name))]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    broken = []
    for target in LINK.findall(prose_of(document)):
        place, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", place):
            continue
        file = document.parent / place if place else document
        if not file.exists():
            broken.append(target)
        elif anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            broken += [target] if anchor not in map(slug, headings) else []
    assert not broken


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if path != REFERENCE], ids=name_of)
def test_commands_exist_with_their_options(document: Path) -> None:
    wrong = [
        f"synth-spark {' '.join(words)}: {found}"
        for words in commands_of(document, "synth-spark")
        if (found := complaint(words))
    ]
    goals = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    wrong += [
        f"make {word}"
        for words in commands_of(document, "make")
        for word in words
        if re.fullmatch(r"[a-z][a-z0-9-]*", word) and word not in goals
    ]
    for program, *words in commands_of(document, "python"):
        if program.startswith("benchmarks/"):
            script = (ROOT / program).read_text(encoding="utf-8")
            wrong += [f"{program} {word}" for word in words if word.startswith("--") and f'"{word}"' not in script]
    assert not wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_of_the_bundle_name_what_is_in_it(document: Path) -> None:
    bundle = read_bundle()
    for words in commands_of(document, "databricks"):
        if words[0] != "bundle":
            continue
        assert words[1] in ("validate", "deploy", "run", "summary", "destroy"), words
        targets = [word for option, word in pairwise(words) if option in ("--target", "-t")]
        assert set(targets) <= set(bundle["targets"]), words
        named = [word for word in words[2:] if not word.startswith("-") and word not in targets]
        assert named == [] if words[1] != "run" else set(named) == set(jobs(bundle)), words


def test_the_reference_of_the_command_line_is_current() -> None:
    """`make docs` writes it."""
    command = [sys.executable, "-m", "typer", "synth_spark.cli", "utils", "docs", "--name", "synth-spark"]
    made = subprocess.run(
        [*command, "--title", "The command line"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert made.stdout.rstrip() == REFERENCE.read_text(encoding="utf-8").rstrip(), "run: make docs"


def test_the_site_can_be_built_and_names_every_page(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--config-file",
        "conf/site/mkdocs.yml",
        "--site-dir",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr  # strict: a page outside the menu, or a link to nowhere, ends it
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= {path.relative_to(tmp_path) for path in tmp_path.rglob("*.html")}


@pytest.mark.parametrize("name", ["cdnow", "flights"])
def test_ten_questions_are_answered_and_the_answers_lie_near(name: str) -> None:
    """`python benchmarks/questions.py conf/<name>.yml` writes the answers."""
    text = (ROOT / "docs" / "for-analysts.md").read_text(encoding="utf-8")
    (part,) = re.findall(rf"<!-- questions of {name} -->(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    answer = r"<!-- within (\d+)% -->\n\nSynthetic (\S+), real (\S+): (\S+)% apart, (\d+)% tolerated\."
    told = re.findall(answer, part)
    assert part.count("```sql\nSELECT") == part.count("\n### ") == len(told) == 10
    for allowed, synthetic, real, percent, tolerated in told:
        ours, truth = (float(number.replace(",", "")) for number in (synthetic, real))
        assert abs(abs(ours - truth) / truth - float(percent) / 100) < 0.005
        assert float(percent) <= float(tolerated) == float(allowed)
    wide = [int(allowed) for allowed, *_ in told if int(allowed) > 10]
    assert sorted(wide) == {"cdnow": [], "flights": [25]}[name], "what a document promises is not loosened in passing"
