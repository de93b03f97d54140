from __future__ import annotations

from pathlib import Path

import yaml

from synth_spark.config import Config, load_config
from synth_spark.config_reference import config_page, config_reference


def test_the_file_equals_the_schema(repository: Path) -> None:
    remedy = "run: python -m synth_spark.config_reference > conf/reference.yml"
    assert (repository / "conf/reference.yml").read_text(encoding="utf-8") == config_reference(), remedy


def test_the_page_equals_the_schema_and_tells_every_key(repository: Path) -> None:
    page = (repository / "docs/configuration.md").read_text(encoding="utf-8")
    assert page == config_page(), "run: make docs"
    for line in config_reference().splitlines():
        key = line.strip().removeprefix("- ").split(":")[0]
        assert line.lstrip().startswith("#") or not key or f"| `{key}` |" in page, key
    assert "fail or drop or adopt | `fail` |" in page and "at least 0.0, at most 0.5 | `0.5` |" in page


def test_it_is_a_valid_config_of_defaults(tmp_path: Path) -> None:
    file = tmp_path / "reference.yml"
    file.write_text(config_reference(), encoding="utf-8")
    config = load_config(file)
    smallest = {"name": "x", "source": {"events": [{"path": "p", "key": "k", "order_by": "o"}]}}
    defaults = Config.model_validate(smallest).model_dump()
    assert {**config.model_dump(), "name": "", "source": {}} == {**defaults, "name": "", "source": {}}


def test_every_key_and_limit_stands_in_it() -> None:
    written = yaml.safe_load(config_reference())
    assert list(written) == list(Config.model_fields)
    assert "at least 0.0, at most 0.5" in config_reference()
    assert "fail | drop | adopt" in config_reference()
