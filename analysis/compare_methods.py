"""Compare training methods: test mAP by group and neural collapse on the training images, over seeds.

    python analysis/compare_methods.py                     # erm, class_attention, mlc_nc on digits_lt, seeds 0 1 2
    python analysis/compare_methods.py --smoke             # two epochs, one seed: does it run?

Each run is kept in ``OUT/METHOD-sSEED``; a run that is finished already is not trained again. The checkpoint that is
scored is chosen on validation mAP. Writes ``OUT/runs.csv`` (a row for each run), ``OUT/comparison.csv`` and
``OUT/comparison.md`` (mean and standard deviation over seeds).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import nctools
from nctools.training import load_config, make_config, train

GROUPS = ("all", "head", "medium", "tail")
COLLAPSE = ("nc1_pinv", "nc2_etf_error", "nc3_self_duality")


def finished_run(method: str, seed: int, options: argparse.Namespace) -> Path:
    """Train a method, or find the run that was trained before."""
    settings: dict[str, object] = {"seed": seed}
    if options.smoke:
        settings |= {"recipe.epochs": 2, "nc.every": 1}
    config = make_config(method, options.dataset, settings, data_root=options.data_root)
    out = Path(options.out) / f"{method}-s{seed}"
    saved = out / "config.yaml"
    same = saved.exists() and load_config(saved) == config
    epochs = pd.read_csv(out / "metrics.csv")["epoch"].max() if (out / "metrics.csv").exists() else 0
    if not same or epochs < config.recipe.epochs:
        train(config, out, force=True)
    return out


def run_values(method: str, seed: int, run: Path) -> dict[str, str | float]:
    """Score the run on test and measure its training features; NC1 before and after training."""
    scores = nctools.evaluate_checkpoint(run / "checkpoints" / "best.pt", split="test").mean_average_precision
    curve = pd.read_csv(run / "nc.csv")
    space = str(curve["space"].iloc[0])
    curve = curve[curve["space"] == space]
    values: dict[str, str | float] = {"method": method, "seed": seed, "space": space}
    values |= {f"test mAP {group}": 100 * scores[group] for group in GROUPS}
    for metric in COLLAPSE:
        for group in ("all", "tail"):
            rows = curve[(curve["metric"] == metric) & (curve["group"] == group)].sort_values("epoch")
            values[f"train {metric} {group}"] = float(rows["value"].iloc[-1])
            if metric == "nc1_pinv":
                values[f"train {metric} {group} untrained"] = float(rows["value"].iloc[0])
    values["minutes"] = pd.read_csv(run / "metrics.csv")["seconds"].sum() / 60
    return values


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds, as text."""
    columns = [name for name in runs.columns if name not in {"method", "seed", "space"}]
    table = runs.groupby(["method", "space"], sort=False)[columns]
    mean, spread = table.mean(), table.std()
    digits = {name: 1 if "mAP" in name else 2 for name in columns}
    text = {
        name: [
            f"{value:.{digits[name]}f}" + ("" if pd.isna(sd) else f" ± {sd:.{digits[name]}f}")
            for value, sd in zip(mean[name], spread[name], strict=True)
        ]
        for name in columns
    }
    return pd.DataFrame(text, index=mean.index).reset_index()


def markdown(table: pd.DataFrame) -> str:
    """Write a table in Markdown."""
    rows = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=["erm", "class_attention", "mlc_nc"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--dataset", default="digits_lt")
    parser.add_argument("--data-root")
    parser.add_argument("--out", default="runs/compare_methods")
    parser.add_argument("--smoke", action="store_true", help="two epochs of one seed")
    options = parser.parse_args()
    seeds = options.seeds[:1] if options.smoke else options.seeds
    rows = [
        run_values(method, seed, finished_run(method, seed, options)) for seed in seeds for method in options.methods
    ]
    out = Path(options.out)
    runs = pd.DataFrame(rows)
    runs.to_csv(out / "runs.csv", index=False)
    table = summary(runs)
    table.to_csv(out / "comparison.csv", index=False)
    (out / "comparison.md").write_text(markdown(table), encoding="utf-8")
    print(markdown(table))


if __name__ == "__main__":
    main()
