# SPDX-License-Identifier: Apache-2.0
"""Draws the results of `smelt bench --json`: speed beside the rivals' best, and the share of the machine's limit.

usage: plot.py RESULTS.json... FOLDER       one SVG a dtype and kind of unit; rows of several files are put together
       plot.py --report RESULTS.json...     a page in Markdown instead: machine, date, limits, the rows as tables
"""
import json
import os
import sys


def amount(row, seconds):
    work = row["flops"] if row.get("unit") == "GFLOP/s" else row["bytes"]
    return work / seconds * 1e-9


def label(row):
    return f"{row['operation']}  {row['shape']}"


def time_text(seconds):
    for scale, unit in ((1e6, "us"), (1e3, "ms"), (1, "s")):
        if seconds * scale < 1000:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds:.0f} s"


def best_rival(row):
    return min(row["rivals"], key=lambda rival: rival["seconds"]) if row["rivals"] else None


def print_table(rows):
    print("| operation | shape | time | speed | share of limit | best rival | its time | smelt is |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        rival = best_rival(row)
        speed = f"{row['speed']:.1f} {row['unit']}" if "speed" in row else ""
        share = f"{row['share']:.2f} of {row['limit']['value']:.1f}" if "share" in row else ""
        cells = [row["operation"], row["shape"], time_text(row["seconds"]), speed, share]
        if rival:
            cells += [rival["name"], time_text(rival["seconds"]), f"{rival['seconds'] / row['seconds']:.2f} x"]
        print("| " + " | ".join(cells + [""] * (8 - len(cells))) + " |")


def print_report(results, rows):
    library, first = results[0]["library"], results[0]
    caches = ", ".join(f"{library['caches'][level] >> 10} KiB {level}" for level in ("l1d", "l2", "l3"))
    print(f"# {library['processor']}, {library['threads']} threads\n")
    print(f"{first['date'][:10]}, smelt {library['version']}, kernels for {library['isa']['used']}, {caches}. ", end="")
    print("Made by `make bench` and `bench/plot.py --report`; how: [README.md](README.md).\n")
    print("| limit of the machine | at the start of the run |\n|---|---|")
    for limit in first["limits"]:
        print(f"| {limit['name']} | {limit['value']:.1f} {limit['unit']} |")
    for dtype in ("float32", "float16", "bfloat16"):
        chosen = [row for row in rows if row["dtype"] == dtype]
        if chosen:
            print(f"\n## {dtype}")
            print_table(chosen)


def draw(rows, title, path):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "smelt"  # the same file for the same figures
    import matplotlib.pyplot as plot

    figure, axes = plot.subplots(figsize=(9, 0.9 + 0.42 * len(rows)))
    for at, row in enumerate(rows):
        limit = row["limit"]["value"]
        axes.barh(at - 0.18, row["speed"], 0.34, color="#c0392b", label="smelt" if at == 0 else None)
        rival = best_rival(row)
        if rival:
            axes.barh(at + 0.18, amount(row, rival["seconds"]), 0.34, color="#7f8c8d")
            axes.annotate(" " + rival["name"], (amount(row, rival["seconds"]), at + 0.18), va="center", fontsize=7)
        axes.plot([limit, limit], [at - 0.4, at + 0.4], color="black", linewidth=1.2,
                  label="limit of the machine" if at == 0 else None)
    axes.set_yticks(range(len(rows)), [label(row) for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(rows[0]["unit"])
    axes.set_title(title + ": smelt (red), best rival (grey), limit measured by turns (line)", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plot.close(figure)


def main():
    report, paths = sys.argv[1:2] == ["--report"], sys.argv[1:]
    paths, folder = (paths[1:], None) if report else (paths[:-1], paths[-1])
    results = [json.load(open(path)) for path in paths]
    rows = [row for result in results for row in result["rows"] if "failure" not in row]
    if report:
        print_report(results, rows)
        return
    os.makedirs(folder, exist_ok=True)
    # Rows in cache have another scale than rows in memory; rows without a limit are times, not speeds.
    groups = {}
    for row in rows:
        if "limit" in row:
            kind = "compute" if row["unit"] == "GFLOP/s" else "cache" if "cache" in row["limit"]["name"] else "memory"
            groups.setdefault((kind, row["dtype"]), []).append(row)
    for (kind, dtype), chosen in groups.items():
        draw(chosen, f"{kind}, {dtype}", os.path.join(folder, f"{kind}_{dtype}.svg"))


main()
