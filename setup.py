"""The package, and the only home of version pins.

The groups are those of the import colours. conf/requirements/lock.txt is the complete freeze of everything named
here (`make lock`); `synth-spark doctor` and a test compare what is installed with these pins. docs/decisions/pins.md
says why they are what they are.
"""

import subprocess
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

PINS = {
    "plain": [
        "numpy==1.26.4",
        "packaging==26.3",
        "pandas==2.2.3",
        "psutil==7.2.2",
        "pyarrow==14.0.2",  # petastorm reads with pyarrow < 15 only; below 14.0.1 a crafted file can run code
        "pydantic==2.14.3",
        "PyYAML==6.0.3",
        "scikit-learn==1.9.1",
        "scipy==1.17.1",
        "threadpoolctl==3.8.0",
        "tqdm==4.70.1",
    ],
    "spark": [
        "pyspark==4.0.1",  # 4.1 asks for pyarrow 15
        "delta-spark==4.0.1",
    ],
    "torch": [
        "torch==2.9.1",  # from 2.12 on torch wants setuptools >= 77, petastorm 0.13.1 wants < 70
        "petastorm==0.13.1",
        "safetensors==0.8.0",
        "setuptools==69.5.1",
    ],
    "tracking": [
        "mlflow==3.17.2",
    ],
    "report": [
        "Jinja2==3.1.6",
        "plotly==7.1.0",
    ],
    "cli": [
        "typer==0.29.2",
    ],
    "export": [
        "duckdb==2.0.0",
    ],
}
# What a Databricks ML runtime brings itself, in versions that belong together: a wheel must not replace it there, so
# these are required by the extra `engines` and not by the wheel as such (docs/decisions/bundle.md).
ENGINES = ("delta-spark", "mlflow", "petastorm", "pyarrow", "pyspark", "setuptools", "torch")
DEV = [
    "databricks-bundles==1.22.1",  # checks databricks.yml in the tests, without a workspace
    "hypothesis==6.170.15",
    "import-linter==2.16",
    "ipykernel==7.4.0",
    "mkdocs==1.6.1",
    "mypy==2.4.1",
    "nbclient==0.11.0",
    "nbformat==5.11.1",
    "playwright==1.65.2",  # drives Debian's chromium in the browser test; brings no browser of its own
    "pytest==9.2.0",
    "pytest-timeout==2.4.0",
    "pytest-xdist==3.8.0",
    "ruff==0.17.6",
    "types-PyYAML==6.0.12.20261113",
    "wheel==0.45.1",  # from 0.46 on it no longer builds for setuptools < 70.1
]


def pins(engines: bool) -> list[str]:
    """Pins of the engines, or all others."""
    return [pin for group in PINS.values() for pin in group if (pin.split("==")[0] in ENGINES) == engines]


def version() -> str:
    """The version written in synth_spark/__init__.py, read without importing the package."""
    text = (Path(__file__).parent / "synth_spark" / "__init__.py").read_text(encoding="utf-8")
    return text.split('__version__ = "')[1].split('"')[0]


class BuildWithCommit(build_py):
    """Writes the commit into a wheel, which has no working tree to ask (synth_spark/pipeline/provenance.py)."""

    def run(self) -> None:
        """Copy the package, then add the file; an editable install has its working tree."""
        super().run()
        root = Path(__file__).parent
        if self.editable_mode or not (root / ".git").exists():
            return
        described = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(described, capture_output=True, text=True, check=False)
        if done.returncode == 0:  # git refuses a working tree of another user
            (Path(self.build_lib) / "synth_spark" / "commit.txt").write_text(done.stdout, encoding="utf-8")


setup(
    name="synth_spark",
    version=version(),
    description="Synthetic subjects with synthetic event histories, learned and generated on Spark",
    python_requires="==3.11.*",
    packages=find_packages(include=["synth_spark", "synth_spark.*"]),
    package_data={"synth_spark": ["log4j2.properties", "report/templates/*"]},
    install_requires=pins(engines=False),
    extras_require={"engines": pins(engines=True), "dev": DEV},
    cmdclass={"build_py": BuildWithCommit},
    entry_points={"console_scripts": ["synth-spark = synth_spark.cli:main"]},
)
