"""Where a workspace lies, and where its secret comes from."""

from __future__ import annotations

import errno
import fcntl
import logging
from pathlib import Path

import pytest

from synth_spark import doctor
from synth_spark.config import OutputSettings
from synth_spark.errors import ConfigError, ContractError, EnvironmentProblem
from synth_spark.pipeline import opened
from synth_spark.pipeline.lock import is_held, run_lock
from synth_spark.source.locate import locate
from synth_spark.tracking import EXPERIMENT_FOLDER, experiment_name, registered_name
from synth_spark.workspace import SALT_VARIABLE, Workspace

GIVEN = "0f" * 32


def test_the_root_may_name_variables_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTH_SPARK_ROOT", "/Volumes/main/synthetic/runs")
    assert Workspace.at("${SYNTH_SPARK_ROOT}/one").root == Path("/Volumes/main/synthetic/runs/one")
    assert Workspace.at("/data/$HOME/one").root == Path("/data/$HOME/one"), "only ${NAME} is a variable, as in sources"


@pytest.mark.parametrize(
    "path",
    [
        "s3a://bucket/shop/visits",
        "abfss://container@account.dfs.core.windows.net/shop/visits/day=2024-01-01",
        "gs://bucket/shop/visits%20of%20a%20year/*.parquet",
        "dbfs:/Volumes/main/shop/raw/visits.csv",
        "/Volumes/main/shop/raw/visits.csv",
        "hdfs://name-node:8020/shop/visits",
    ],
)
def test_paths_of_object_stores_go_to_spark_untouched(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert locate(path) == path
    scheme, _, rest = path.partition("shop")
    monkeypatch.setenv("SHOP", f"{scheme}shop")
    assert locate("${SHOP}" + rest) == path


def test_a_variable_that_is_not_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYNTH_SPARK_ROOT", raising=False)
    with pytest.raises(ConfigError, match=r"\$\{SYNTH_SPARK_ROOT\}/one: .* SYNTH_SPARK_ROOT is not set"):
        Workspace.at("${SYNTH_SPARK_ROOT}/one")


def test_published_tables_are_below_the_root_or_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOG", "main-eu")
    by_path = Workspace.of(OutputSettings(root="/data/one", schema_name="shop"))
    assert by_path.published / "events" == Path("/data/one/published/events")
    assert str(by_path.views.view("events")) == "shop.events"
    assert by_path.told(by_path.published / "events") == "published/events"
    by_name = Workspace.of(OutputSettings(root="/data/one", catalog="${CATALOG}", schema_name="shop_2"))
    names = [by_name.told(by_name.published / table) for table in ("subjects", "events", "runs", "decisions")]
    assert names == [f"main-eu.shop_2.{table}" for table in ("all_subjects", "all_events", "runs", "decisions")]
    assert str(by_name.views.view("events")) == "main-eu.shop_2.events"


@pytest.mark.parametrize("value", ["a.b", "s; DROP TABLE t", "${CATALOG}", ""])
def test_a_variable_that_holds_no_name_is_told(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOG", value)
    with pytest.raises(ConfigError, match=r"output.catalog \$\{CATALOG\}: "):
        Workspace.of(OutputSettings(catalog="${CATALOG}"))


@pytest.mark.parametrize(("registry", "name"), [("databricks-uc", "main.shop.cdnow"), ("databricks", "cdnow")])
def test_a_model_has_three_names_in_unity_catalog_only(registry: str, name: str) -> None:
    assert registered_name("cdnow", "main.shop", registry) == name
    assert registered_name("cdnow", None, registry) == "cdnow"


def test_a_given_salt_leaves_no_file(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SALT_VARIABLE, GIVEN)
    assert workspace.salt() == bytes.fromhex(GIVEN)
    monkeypatch.setenv(SALT_VARIABLE, f"{GIVEN}\n")  # as a file or a pipe ends
    assert workspace.salt() == bytes.fromhex(GIVEN)
    assert not workspace.salt_file.exists()
    assert _salt_finding(workspace).ok


@pytest.mark.parametrize("text", ["0f" * 15, "secret, but no number", "0f" * 16 + "0"])
def test_a_given_salt_that_is_none_is_refused_without_being_quoted(
    text: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SALT_VARIABLE, text)
    with pytest.raises(EnvironmentProblem, match="at least 32 hexadecimal digits") as told:
        workspace.salt()
    assert text not in str(told.value) and told.value.__cause__ is None
    assert not _salt_finding(workspace).ok


def test_a_given_salt_may_not_differ_from_that_of_earlier_runs(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = workspace.salt()
    monkeypatch.setenv(SALT_VARIABLE, own.hex())
    assert workspace.salt() == own
    monkeypatch.setenv(SALT_VARIABLE, GIVEN)
    with pytest.raises(EnvironmentProblem, match="the holdout would change"):
        workspace.salt()


def test_files_that_everybody_can_read_keep_no_secret(workspace: Workspace) -> None:
    workspace.salt()
    workspace.salt_file.chmod(0o777)  # as every file of a Databricks volume appears
    with pytest.raises(EnvironmentProblem, match=SALT_VARIABLE):
        workspace.salt()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP])
def test_storage_without_locks_is_worked_on_with_a_warning(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _refuse_locks(monkeypatch, number)
    with caplog.at_level(logging.WARNING), run_lock(tmp_path):
        assert not is_held(tmp_path)
    assert "knows no locks" in caplog.text


def test_a_lock_that_is_held_is_no_missing_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _refuse_locks(monkeypatch, errno.EWOULDBLOCK)
    with pytest.raises(ContractError, match="works on it"), run_lock(tmp_path):
        pass


def test_a_session_of_a_databricks_cluster_is_never_ours_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "15.4")
    assert opened._has_session()


def test_experiments_lie_in_the_folder_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EXPERIMENT_FOLDER, raising=False)
    assert experiment_name("tpch") == "tpch"
    monkeypatch.setenv(EXPERIMENT_FOLDER, "/Shared/synthetic/")
    assert experiment_name("tpch") == "/Shared/synthetic/tpch"


def _refuse_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(file: object, kind: int) -> None:
        raise OSError(number, "as the storage says")

    monkeypatch.setattr(fcntl, "flock", refuse)


def _salt_finding(workspace: Workspace) -> doctor.Finding:
    return next(finding for finding in doctor.findings(workspace.root) if finding.name == "salt")
