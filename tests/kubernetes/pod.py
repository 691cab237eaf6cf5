"""One pod as a kubelet runs it: a network namespace, volumes, and containers that are started again when they end.

Told apart from a real kubelet by four things: a container that fails is started again after half a second, doubling to
eight (there: ten seconds to five minutes); names are an /etc/hosts that is rewritten in place (there: DNS); a probe has
some more time; CPU requests mean nothing.
"""

import json
import os
import re
import stat
import subprocess
import threading
import time

from machine import DEFAULT_SECCOMP, run
from manifest import FIELD_PATHS, Refused, quantity_bytes, quantity_cores

HOSTS_BYTES = 4096  # of one page, so that a reader never sees half of a rewrite
KILL_S = 60
# What entering a container may take here, with many pods on few processors; a probe's own time comes on top.
ENTER_S = 5


class Container:
    """A container's fixed description and its present process (podman, attached: it ends when the container does)."""

    def __init__(self, pod, spec):
        self.pod, self.spec = pod, spec
        self.name = f"{pod.machine.name}-{pod.name}-{spec['name']}"
        self.log_path = pod.machine.path(f"{pod.name}.{spec['name']}.log")
        self.process = None
        self.restarts = 0
        self.started = False  # past its startupProbe
        self.ready = False
        self.next_start = 0.0
        self.probes = {}

    def options(self):
        """podman's arguments for all that the manifest says of this container."""
        pod, spec = self.pod, self.spec
        security = {**pod.spec.get("securityContext", {}), **spec.get("securityContext", {})}
        options = ["--network", f"ns:/run/netns/{pod.namespace}", "--hostname", pod.name, "--no-hosts", "--dns", "none"]
        options += ["--volume", f"{pod.hosts_path}:/etc/hosts"]
        options += ["--env", f"HOSTNAME={pod.name}"]
        for name, value in self.environment().items():
            options += ["--env", f"{name}={value}"]
        for mount in spec.get("volumeMounts") or []:
            source, read_only = pod.mount_source(mount), ":ro" if mount.get("readOnly") else ""
            options += ["--volume", f"{source}:{mount['mountPath']}{read_only}"]
        if "workingDir" in spec:
            options += ["--workdir", spec["workingDir"]]
        limits = (spec.get("resources") or {}).get("limits") or {}
        if "memory" in limits:
            options += ["--memory", str(quantity_bytes(limits["memory"]))]
        if "cpu" in limits:
            options += ["--cpus", str(quantity_cores(limits["cpu"]))]
        return options + self.security_options(security)

    def security_options(self, security):
        options = []
        user, group = security.get("runAsUser"), security.get("runAsGroup")
        if user is not None:
            options += ["--user", f"{user}:{group if group is not None else 0}"]
        if security.get("fsGroup") is not None:
            options += ["--group-add", str(security["fsGroup"])]
        if security.get("readOnlyRootFilesystem"):
            options += ["--read-only", "--read-only-tmpfs=false"]
        if security.get("allowPrivilegeEscalation") is False:
            options += ["--security-opt", "no-new-privileges"]
        capabilities = security.get("capabilities") or {}
        options += [f"--cap-drop={each}" for each in capabilities.get("drop") or []]
        options += [f"--cap-add={each}" for each in capabilities.get("add") or []]
        # As in Kubernetes: a container whose manifest names no profile is not confined.
        seccomp = security.get("seccompProfile") or {"type": "Unconfined"}
        profile = {"Unconfined": "unconfined", "RuntimeDefault": DEFAULT_SECCOMP}.get(seccomp["type"])
        if seccomp["type"] == "Localhost":
            profile = self.pod.machine.path(seccomp["localhostProfile"])
        return options + ["--security-opt", f"seccomp={profile}"]

    def environment(self):
        pod, values = self.pod, {}
        fields = dict(zip(FIELD_PATHS, (pod.name, pod.manifest.namespace, pod.address)))
        for each in self.spec.get("envFrom") or []:
            for kind in ("configMapRef", "secretRef"):
                for key, value in pod.manifest.entries(kind, each[kind]["name"]).items() if kind in each else ():
                    values[each.get("prefix", "") + key] = value.decode()
        for each in self.spec.get("env") or []:
            source = each.get("valueFrom") or {}
            if not source:
                values[each["name"]] = expand(str(each.get("value", "")), values)
            for kind, reference in source.items():
                if kind == "fieldRef":
                    values[each["name"]] = fields[reference["fieldPath"]]
                else:
                    values[each["name"]] = pod.manifest.entry(kind, reference["name"], reference["key"]).decode()
        return values

    def start(self):
        values = {**self.environment(), "HOSTNAME": self.pod.name}
        command = [expand(word, values) for word in self.spec.get("command") or []]
        arguments = [expand(word, values) for word in self.spec.get("args") or []]
        entry = ["--entrypoint", json.dumps(command)] if command else []
        image = self.pod.image_of(self.spec["image"])
        podman = self.pod.machine.podman_command(
            "run", "--rm", "--replace", "--log-driver", "none", "--name", self.name,
            *self.pod.machine.run_options, *self.options(), *entry, image, *arguments,
        )
        self.started = self.ready = False
        self.probes = {kind: Probe(self, self.spec[kind]) for kind in PROBE_KINDS if self.spec.get(kind)}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                podman, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.pod.machine.environment
            )

    def running(self):
        return self.process is not None and self.process.poll() is None

    def execute(self, command, timeout_s=60):
        """Runs a command inside. Returns (status, output); a command that takes too long has status None."""
        podman = self.pod.machine.podman_command("exec", self.name, *command)
        try:
            done = subprocess.run(podman, capture_output=True, text=True, timeout=timeout_s, check=False,
                                  env=self.pod.machine.environment)
        except subprocess.TimeoutExpired:
            return None, ""
        return done.returncode, done.stdout + done.stderr

    def stop(self, grace_s):
        """Ends the container: politely, with so many seconds to comply, or at once with none."""
        if not self.running():
            return
        hook = ((self.spec.get("lifecycle") or {}).get("preStop") or {}).get("exec")
        if hook and grace_s:
            self.execute(hook["command"], timeout_s=grace_s)
        if grace_s and self._ends_by("TERM", grace_s):
            return
        # One that is just being made has nothing to kill yet: hence again and again.
        deadline = time.monotonic() + KILL_S
        while not self._ends_by("KILL", 1):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not end")

    def _ends_by(self, signal, patience_s):
        """Sends a signal to the container, if there is one. Did it end within so many seconds?"""
        command = self.pod.machine.podman_command("kill", "--signal", signal, self.name)
        subprocess.run(command, capture_output=True, check=False, env=self.pod.machine.environment)
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return False
        return True


PROBE_KINDS = ("startupProbe", "livenessProbe", "readinessProbe")


class Probe:
    """One probe of a running container: when it is due, and what its results in a row amount to."""

    def __init__(self, container, spec):
        self.container, self.spec = container, spec
        self.due = time.monotonic() + spec.get("initialDelaySeconds", 0)
        self.failures = self.successes = 0

    def run_when_due(self):
        """None while nothing changed the verdict, else whether the container passed."""
        if time.monotonic() < self.due:
            return None
        passed = self._ask()
        self.due = time.monotonic() + self.spec.get("periodSeconds", 10)
        self.successes = self.successes + 1 if passed else 0
        self.failures = 0 if passed else self.failures + 1
        if passed and self.successes >= self.spec.get("successThreshold", 1):
            return True
        if self.failures >= self.spec.get("failureThreshold", 3):
            return False
        return None

    def _ask(self):
        timeout_s = self.spec.get("timeoutSeconds", 1) + ENTER_S
        if "exec" in self.spec:
            return self.container.execute(self.spec["exec"]["command"], timeout_s)[0] == 0
        port = self.spec["tcpSocket"]["port"]
        for each in self.container.spec.get("ports") or []:
            port = each["containerPort"] if each.get("name") == port else port
        pod = self.container.pod
        knock = f"exec 3<>/dev/tcp/{pod.address}/{port}"
        within = ["ip", "netns", "exec", pod.namespace, "timeout", str(timeout_s), "bash", "-c", knock]
        return subprocess.run(within, capture_output=True, check=False).returncode == 0


def expand(text, values):
    """$(NAME) as Kubernetes expands it in command, args and env."""
    return re.sub(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)", lambda match: values.get(match[1], match[0]), text)


class Pod:
    """A pod from its creation to its deletion: one address for life. Volumes of claims outlive it, the others do
    not."""

    def __init__(self, cluster, name, labels, spec, claims):
        self.machine, self.manifest = cluster.machine, cluster.manifest
        self.cluster, self.name, self.labels, self.spec = cluster, name, labels, spec
        self.image_of = cluster.image_of
        self.namespace, self.address = self.machine.add_pod_network()
        self.directory = self.machine.path("pods", self.namespace)
        os.makedirs(self.directory)
        self.hosts_path = os.path.join(self.directory, "hosts")
        with open(self.hosts_path, "w", encoding="ascii") as file:
            file.write("\n" * HOSTS_BYTES)
        self.group = spec.get("securityContext", {}).get("fsGroup")
        self.volumes = {volume["name"]: self._volume(volume) for volume in spec.get("volumes") or []}
        self.volumes.update({claim: self._claim(f"{claim}-{name}") for claim in claims})
        self.init_containers = [Container(self, each) for each in spec.get("initContainers") or []]
        self.containers = [Container(self, each) for each in spec["containers"]]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)

    def start(self):
        self._thread.start()

    @property
    def ready(self):
        return all(container.ready for container in self.containers)

    def _volume(self, volume):
        """Makes a volume and returns its directory."""
        name = volume["name"]
        directory = os.path.join(self.directory, "volumes", name)
        if "persistentVolumeClaim" in volume:
            return self._claim(volume["persistentVolumeClaim"]["claimName"])
        os.makedirs(directory)
        if "emptyDir" in volume:
            empty = volume["emptyDir"] or {}
            if empty.get("medium") == "Memory":
                size = f",size={quantity_bytes(empty['sizeLimit'])}" if "sizeLimit" in empty else ""
                run(["mount", "-t", "tmpfs", "-o", f"mode=1777{size}", "tmpfs", directory])
            os.chmod(directory, 0o1777)
            return directory
        kind = "configMap" if "configMap" in volume else "secret"
        source = volume[kind]
        holder = source["name" if kind == "configMap" else "secretName"]
        items = source.get("items") or [{"key": key, "path": key} for key in self.manifest.entries(kind, holder)]
        for item in items:
            path = os.path.join(directory, item["path"])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(self.manifest.entry(kind, holder, item["key"]))
            os.chmod(path, source.get("defaultMode", 0o644))
            if self.group is not None:
                os.chown(path, -1, self.group)
                os.chmod(path, os.stat(path).st_mode | 0o440)
        return directory

    def _claim(self, name):
        directory = self.cluster.claim_directory(name)
        if self.group is not None:
            os.chown(directory, -1, self.group)
            os.chmod(directory, 0o2775)
        return directory

    def mount_source(self, mount):
        """What a volumeMount mounts. Folders on the way to its subPath are made, with the volume's own mode."""
        if mount["name"] not in self.volumes:
            raise Refused(f"{self.name} mounts {mount['name']}, which is no volume")
        path = self.volumes[mount["name"]]
        mode = stat.S_IMODE(os.stat(path).st_mode)
        for part in mount.get("subPath", "").split("/"):
            path = os.path.join(path, part)
            if not os.path.exists(path):
                os.mkdir(path)
                os.chmod(path, mode)
        return path

    def write_hosts(self, names):
        """Says who is where: (address, names) pairs, for every container of this pod."""
        own = [("127.0.0.1", "localhost"), ("::1", "ip6-localhost")]
        text = "".join(f"{address} {each}\n" for address, each in own + names).encode()
        if len(text) > HOSTS_BYTES:
            raise Refused("so many pods are not played here: their names do not fit")
        with open(self.hosts_path, "r+b", buffering=0) as file:
            file.write(text.ljust(HOSTS_BYTES - 1) + b"\n")

    def _live(self):
        try:
            for container in self.init_containers:
                self._complete(container)
            while not self._stopping.is_set():
                for container in self.containers:
                    self._attend(container)
                self._stopping.wait(0.1)
        except Exception as fault:  # of this thread; the cluster's owner is told by wait_ready() and check()
            self.cluster.faults.append(f"{self.name}: {fault}")

    def _complete(self, container):
        """Runs an init container until it succeeds."""
        while not self._stopping.is_set():
            container.start()
            while container.running() and not self._stopping.wait(0.05):
                continue
            if container.process.poll() == 0:
                return
            self._stopping.wait(0.5)

    def _attend(self, container):
        if not container.running():
            self._restart(container)
            return
        verdicts = {kind: None for kind in PROBE_KINDS}
        if not container.started:
            probe = container.probes.get("startupProbe")
            verdicts["startupProbe"] = probe.run_when_due() if probe else True
            container.started = bool(verdicts["startupProbe"])
        else:
            for kind in PROBE_KINDS[1:]:
                if kind in container.probes:
                    verdicts[kind] = container.probes[kind].run_when_due()
            if "readinessProbe" not in container.probes:
                verdicts["readinessProbe"] = True
        if verdicts["startupProbe"] is False or verdicts["livenessProbe"] is False:
            container.stop(self.grace_s)
            return
        self._set_ready(container, verdicts["readinessProbe"])

    def _restart(self, container):
        self._set_ready(container, False)
        now = time.monotonic()
        if container.process is None or now >= container.next_start > 0:
            container.restarts += container.process is not None
            container.next_start = 0.0
            container.start()
        elif not container.next_start:
            container.next_start = now + min(0.5 * 2**container.restarts, 8)

    def _set_ready(self, container, ready):
        if ready is not None and ready != container.ready:
            container.ready = ready
            self.cluster.announce()

    @property
    def grace_s(self):
        return self.spec.get("terminationGracePeriodSeconds", 30)

    def set_interface(self, state):
        """eth0 "up" or "down": the cable of this pod. Its loopback stays as it is."""
        run(["ip", "-n", self.namespace, "link", "set", "eth0", state])

    def execute(self, command, container=0, timeout_s=60):
        return self.containers[container].execute(command, timeout_s)

    def log(self, container=0):
        with open(self.containers[container].log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def delete(self, grace_s=None):
        """Ends the containers within the grace period (0: at once), and removes all but the volumes of claims."""
        self._stopping.set()
        if self._thread.ident:
            self._thread.join()
        for container in [*self.init_containers, *self.containers]:
            container.stop(self.grace_s if grace_s is None else grace_s)
        self.machine.remove_pod_network(self.namespace)
        for volume in self.volumes.values():
            if os.path.ismount(volume):
                run(["umount", volume])

    def __str__(self):
        states = [
            f"{each.spec['name']} {'ready' if each.ready else 'not ready'}, {each.restarts} restarts"
            for each in self.containers
        ]
        return f"{self.name:24} {self.address:16} {'; '.join(states)}"
