#!/usr/bin/python3
"""Runs a Kubernetes manifest on this machine, without Kubernetes: each pod a container of podman's in a network of its
own.

    tests/kubernetes/play.py my-manifest.yaml more.yaml --image redis:6.2.6=slipstream

starts what the files describe together, with our image where it says redis:6.2.6, and then takes commands, one a line:

    pods                     what runs, and where
    exec POD COMMAND...      runs a command in the pod's first container
    log POD                  what the pod has said
    down POD, up POD         takes the pod's network interface away, gives it back
    delete POD               ends the pod as its manifest says; its controller makes another, with another address
    kill POD                 the same without a warning
    wait [POD...]            until these pods, or all, are ready
    quit                     removes everything; so does the end of the input

What a manifest asks for and this tool does not know, it refuses by name. Needs root.
"""

import argparse
import shlex
import sys

from cluster import Cluster
from machine import Machine, cannot_run_containers
from manifest import Refused


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifests", nargs="+", metavar="manifest", help="a YAML file, anybody's")
    parser.add_argument("--archive", default="build/slipstream.tar", help="the OCI archive of the image (make image)")
    parser.add_argument(
        "--image", action="append", default=[], metavar="NAME=OURS", help="takes our image where the manifest says NAME"
    )
    return parser.parse_args()


def map_images(arguments, machine):
    """The right side of NAME=OURS may be any name of the one image there is; it stands in the command for the
    reader."""
    ours = {machine.image, machine.image.split("/")[-1], machine.image.split("/")[-1].split(":")[0]}
    images = {}
    for each in arguments:
        name, _, target = each.partition("=")
        if target not in ours:
            raise Refused(f"--image {each}: the archive holds {machine.image} and nothing else")
        images[name] = machine.image
    return images


def obey(cluster, command, names):
    """Carries out one line."""
    if command == "pods":
        for pod in cluster.pods.values():
            print(pod)
    elif command == "exec":
        status, output = cluster.pods[names[0]].execute(names[1:])
        print(output, end="")
        if status:
            print(f"(status {status})")
    elif command == "log":
        print(cluster.pods[names[0]].log(), end="")
    elif command in ("up", "down"):
        cluster.pods[names[0]].set_interface(command)
    elif command in ("delete", "kill"):
        print(cluster.delete_pod(names[0], grace_s=0 if command == "kill" else None))
    elif command == "wait":
        cluster.wait_ready(*names)
    else:
        print(f"unknown command: {command}")


def converse(cluster):
    while True:
        print("> " if sys.stdin.isatty() else "", end="", flush=True)
        line = sys.stdin.readline()
        words = shlex.split(line)
        if not line or words[:1] == ["quit"]:
            return
        if not words:
            continue
        try:
            obey(cluster, words[0], words[1:])
        except (KeyError, IndexError) as fault:
            print(f"no such pod, or none named: {fault}")
        except RuntimeError as fault:
            print(fault)


def main():
    arguments = parse_arguments()
    reason = cannot_run_containers()
    if reason:
        sys.exit(f"This machine cannot run pods: {reason}.")
    try:
        with Machine(arguments.archive) as machine:
            images = map_images(arguments.image, machine)
            with Cluster(machine, *arguments.manifests, images=images) as cluster:
                cluster.wait_ready()
                obey(cluster, "pods", [])
                converse(cluster)
    except (Refused, RuntimeError) as fault:
        sys.exit(str(fault))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
