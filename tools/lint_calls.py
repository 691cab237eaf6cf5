#!/usr/bin/env python3
"""Checks by calls what tools/lint_includes.sh checks by includes: that parts know each other in one direction only.

Calls are read from the object files of a build (`nm`: who defines a symbol, who asks for it), so a declaration by hand
or a forwarded prototype hides nothing. Two rules:

  - no circle between the files of a folder in CIRCLE_FREE, nor of one of server/core/;
  - between the folders of server/core/ calls go from right to left of CORE_FOLDERS, never back.

Usage: lint_calls.py [BUILD]     (build)
"""
import os
import subprocess
import sys
from collections import defaultdict

CIRCLE_FREE = ["repl", "repl/link"]
# Of server/core/, from the lowest to the highest; none of them holds a circle either.
CORE_FOLDERS = ["os", "command", "observe", "session", "tracking", "dataset", "run", "clients", "config", "info",
                "process"]


def object_files(root):
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith(".o"):
                yield os.path.join(folder, name)


def read_calls(root):
    """{source: {other source: {symbols}}} for the server's own files, named without their ending."""
    defined, wanted = {}, {}
    for path in object_files(root):
        source = os.path.relpath(path, root)[:-2]
        if source.split("/")[0] not in ("server", "rdb", "shm", "repl") or not os.path.exists(source + ".c"):
            continue
        wanted[source] = set()
        for line in subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout.splitlines():
            kind, symbol = line.split()[-2:]
            if kind == "U":
                wanted[source].add(symbol)
            elif kind in "TDBRVWC":
                defined[symbol] = source
    calls = defaultdict(lambda: defaultdict(set))
    for source, symbols in wanted.items():
        for symbol in symbols:
            if defined.get(symbol, source) != source:
                calls[source][defined[symbol]].add(symbol)
    return calls


def circles(graph):
    """Tarjan's strongly connected components of more than one node."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = stack[stack.index(node):]
            del stack[stack.index(node):]
            if len(component) > 1:
                found.append(component)

    for node in list(graph):
        if node not in index:
            visit(node)
    return found


def check_circles(calls, folder):
    def inside(source):
        return os.path.dirname(source) == folder

    graph = {a: {b: symbols for b, symbols in others.items() if inside(b)} for a, others in calls.items() if inside(a)}
    faults = []
    for circle in circles(graph):
        faults.append(f"{folder}/: a circle of calls between {', '.join(sorted(os.path.basename(f) for f in circle))}")
        for a in circle:
            for b in circle:
                if b in graph.get(a, {}):
                    faults.append(f"    {a}.c calls {b}.c: {', '.join(sorted(graph[a][b]))}")
    return faults


def core_folder(source):
    pieces = source.split("/")
    return pieces[2] if pieces[:2] == ["server", "core"] and len(pieces) == 4 else None


def check_core(calls):
    faults = []
    for a, others in sorted(calls.items()):
        for b, symbols in sorted(others.items()):
            from_, to = core_folder(a), core_folder(b)
            if not from_ or not to or from_ == to:
                continue
            for folder in (from_, to):
                if folder not in CORE_FOLDERS:
                    return [f"server/core/{folder}: not in CORE_FOLDERS of tools/lint_calls.py"]
            if CORE_FOLDERS.index(to) > CORE_FOLDERS.index(from_):
                faults.append(f"{a}.c: {from_} may not call {to}: {', '.join(sorted(symbols))} of {b}.c")
    return faults


def main():
    root = os.path.join(sys.argv[1] if len(sys.argv) > 1 else "build", "obj")
    calls = read_calls(root)
    if not calls:
        sys.exit(f"lint_calls: no object files under {root}")
    circle_free = CIRCLE_FREE + [f"server/core/{folder}" for folder in CORE_FOLDERS]
    faults = [fault for folder in circle_free for fault in check_circles(calls, folder)] + check_core(calls)
    print("\n".join(faults), end="\n" if faults else "")
    sys.exit(1 if faults else 0)


main()
