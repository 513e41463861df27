"""What each command's `--help` ends with: lines that can be typed as they are."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "open": ("noisyseg open case.noisyseg", "noisyseg open slide.svs"),
    "demo": ("noisyseg demo", "noisyseg demo --output my-demo"),
    "samples": ("noisyseg samples tissue",),
    "create": (
        "noisyseg create case.noisyseg --images fields --points clicks --mpp 0.25",
        "noisyseg create rough.noisyseg --images a.png --masks a.tif --clean a_trusted.tif",
    ),
    "add": ("noisyseg add case.noisyseg more.png",),
    "field": (
        "noisyseg field case.noisyseg",
        "noisyseg field case.noisyseg --whole",
        "noisyseg field case.noisyseg 0,0,500,500 --image tissue",
    ),
    "info": ("noisyseg info case.noisyseg", "noisyseg info case.noisyseg --nucleus 17"),
    "derive": ("noisyseg derive case.noisyseg --kind outline",),
    "suggest": (
        "noisyseg suggest case.noisyseg",
        "noisyseg suggest case.noisyseg --keep-above 0.8",
    ),
    "worth": ("noisyseg worth rough.noisyseg",),
    "adapt": ("noisyseg adapt case.noisyseg",),
    "methods": ("noisyseg methods",),
    "train": (
        "noisyseg train case.noisyseg --method scnet --time-budget 120",
        "noisyseg train rough.noisyseg --method mmc --epochs 20 --set crop=96",
    ),
    "runs": ("noisyseg runs case.noisyseg",),
    "stop": ("noisyseg stop case.noisyseg RUN",),
    "replay": ("noisyseg replay case.noisyseg RUN",),
    "predict": (
        "noisyseg predict field.png --model starter --output nuclei",
        "noisyseg predict fields --model case.noisyseg --output nuclei --format geojson",
        "noisyseg predict slide.svs --model starter --output nuclei",
    ),
    "review": (
        "noisyseg review case.noisyseg --next 20",
        "noisyseg review case.noisyseg --accept 17 --reject 18 --as Ann",
        "noisyseg review case.noisyseg --accept-above 0.9 --dry-run",
    ),
    "export": (
        "noisyseg export case.noisyseg for-qupath --format geojson --layer accepted",
        "noisyseg export case.noisyseg nuclei.csv",
    ),
    "import": (
        "noisyseg import case.noisyseg clicks.csv --as points",
        "noisyseg import case.noisyseg field.geojson --as rough --dry-run",
    ),
    "cluster": (
        "noisyseg cluster worker tls://head.lab:8786 --threads 4",
        "noisyseg cluster workers tls://head.lab:8786",
    ),
    "evaluate": ("noisyseg evaluate predicted truth --json",),
    "simulate": ("noisyseg simulate labels noisy --noise dilate --target-dice 0.8",),
    "benchmark": ("noisyseg benchmark --list",),
    "doctor": ("noisyseg doctor",),
    "model": (
        "noisyseg model export starter nuclei.onnx",
        "noisyseg model export case.noisyseg nuclei.zip --format bioimageio --author 'Ann Lee'",
    ),
    "starter": ("noisyseg starter train --data free-data",),
}


def epilog(command: str) -> str:
    """The examples of a command, as its help shows them: each on a line of its own."""
    lines = EXAMPLES.get(command, ())
    # click leaves lines after \b as they are
    head = "Examples:" if lines[1:] else "Example:"
    return "\b\n" + "\n".join([head, *(f"  {line}" for line in lines)])
