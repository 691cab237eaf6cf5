"""A stand-in for a Kubernetes cluster that runs one manifest, of one file or several: controllers, names, volumes, on
top of machine.py and pod.py.

Pods of a StatefulSet are called name-0, name-1 and so on, start in order unless the manifest says Parallel, come back
under the same name with another address, and find their claims' volumes again. Every pod sees, in its /etc/hosts, what
DNS would tell it: a Service's name stands for the addresses of its pods that are ready (or of all, with
publishNotReadyAddresses), and, where the Service is the one that their StatefulSet names, headless or not, pod.service
for each of them.
"""

import atexit
import os
import threading
import time

from manifest import Manifest, Refused, pod_template
from pod import Pod


class Cluster:
    """Use as a context; an exit of the program ends its pods too. `images` maps a manifest's image names to those that
    the machine has."""

    def __init__(self, machine, *paths, images=None):
        self.machine = machine
        self.manifest = Manifest(*paths)
        self.images = {f"{machine.image.split('/')[-1]}": machine.image, **(images or {})}
        self.pods = {}
        self.faults = []
        self._lock = threading.RLock()
        self._ending = False
        self._claims = machine.path("claims", str(time.monotonic_ns()))
        self._recipes = {}
        self.governing_services = {}
        for workload in self.manifest.workloads:
            spec = pod_template(workload)["spec"]
            for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
                self.image_of(container["image"])
            self._plan(workload)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        atexit.unregister(self.__exit__)
        with self._lock:
            self._ending = True
        for name in list(self.pods):
            self.delete_pod(name, grace_s=0, back=False)

    def image_of(self, name):
        if name not in self.images:
            raise Refused(f"image {name} is not on this machine; --image {name}=... says which one to take")
        return self.images[name]

    def _plan(self, workload):
        """Notes, for each pod of a workload, how it is made."""
        template, name, spec = pod_template(workload), workload["metadata"]["name"], workload["spec"]
        claims = [claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates") or []]
        count = 1 if workload["kind"] == "Pod" else spec.get("replicas", 1)
        for i in range(count):
            pod = name if workload["kind"] == "Pod" else f"{name}-{i}"
            labels = dict(template.get("metadata", {}).get("labels") or {})
            if workload["kind"] == "StatefulSet":
                labels["statefulset.kubernetes.io/pod-name"] = pod
            in_order = workload["kind"] == "StatefulSet" and spec.get("podManagementPolicy") != "Parallel"
            self._recipes[pod] = (labels, template["spec"], claims, name if in_order else None)
            self.governing_services[pod] = spec.get("serviceName") if workload["kind"] == "StatefulSet" else None

    def start(self):
        """Starts every pod; one that waits for the one before it in its set is started as soon as that is ready."""
        # Runs before the machine's own removal, which finds nobody then who would start a container again.
        atexit.register(self.__exit__)
        threads = {}
        for name, (_, _, _, ordered) in self._recipes.items():
            if ordered is None:
                self.create_pod(name)
            else:
                threads.setdefault(ordered, []).append(name)
        start_in_order = self._start_in_order
        starters = [threading.Thread(target=start_in_order, args=(each,), daemon=True) for each in threads.values()]
        for thread in starters:
            thread.start()
        for thread in starters:
            thread.join()
        self.check()

    def _start_in_order(self, names):
        try:
            for i, name in enumerate(names):
                self.create_pod(name)
                if i + 1 < len(names):
                    self.wait_ready(name)
        except Exception as fault:  # of this thread; start() reports it
            self.faults.append(str(fault))

    def check(self):
        """Raises what went wrong in one of the threads that look after pods."""
        if self.faults:
            raise RuntimeError("; ".join(self.faults))

    def create_pod(self, name):
        labels, spec, claims, _ = self._recipes[name]
        with self._lock:
            if self._ending:
                raise RuntimeError("the cluster ends")
            pod = Pod(self, name, labels, spec, claims)
            self.pods[name] = pod
        self.announce()
        pod.start()
        return pod

    def delete_pod(self, name, grace_s=None, back=True):
        """What `kubectl delete pod` does; grace_s=0 is a pod that is killed. Its controller makes another unless `back`
        is False. Returns the new pod, or None."""
        with self._lock:
            pod = self.pods.pop(name)
        pod.delete(grace_s)
        self.announce()
        return self.create_pod(name) if back else None

    def cut_off(self, *names):
        """Takes these pods to a network of their own. Returns the function that brings them back."""
        namespaces = [self.pods[name].namespace for name in names]
        self.machine.cut_off(*namespaces)
        return lambda: self.machine.rejoin(*namespaces)

    def restart_all(self):
        """Every pod is killed, and then all of them are made anew: what the end of a power cut looks like."""
        for name in list(self.pods):
            self.delete_pod(name, grace_s=0, back=False)
        self.start()

    def claim_directory(self, claim):
        directory = os.path.join(self._claims, claim)
        os.makedirs(directory, exist_ok=True)
        return directory

    def announce(self):
        """Tells every pod the present names and addresses."""
        with self._lock:
            names = names_given(self.manifest, self.pods.values(), self.governing_services)
            for pod in self.pods.values():
                pod.write_hosts([*names, (pod.address, pod.name)])

    def wait_ready(self, *names, timeout_s=60):
        """Waits until these pods are ready, or all of them."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.check()
            waiting = [name for name in names or self._recipes if name not in self.pods or not self.pods[name].ready]
            if not waiting:
                return
            if time.monotonic() > deadline:
                present = [self.pods[name] for name in waiting if name in self.pods]
                logs = "\n".join(f"--- {pod.name}\n{pod.log()[-2000:]}" for pod in present)
                raise RuntimeError(f"not ready after {timeout_s} s: {', '.join(waiting)}\n{logs}")
            time.sleep(0.05)


def names_given(manifest, pods, governing_services):
    """What the Services make resolvable: (address, names) pairs. `governing_services` says which one names a pod."""
    names = []
    for service, spec in manifest.services.items():
        selector = spec.get("selector") or {}
        for pod in pods:
            if not all(pod.labels.get(key) == value for key, value in selector.items()):
                continue
            if not pod.ready and not spec.get("publishNotReadyAddresses"):
                continue
            if governing_services.get(pod.name) == service:
                names.append((pod.address, aliases(f"{pod.name}.{service}", manifest.namespace)))
            names.append((pod.address, aliases(service, manifest.namespace)))
    return names


def aliases(name, namespace):
    """A name as DNS would take it inside a pod: short, and with the suffixes that its search list adds."""
    suffixes = ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local")
    return " ".join(name + suffix for suffix in suffixes)
