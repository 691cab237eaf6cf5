"""The machine beneath the stand-in for a cluster: a container store of its own, a network of its own, and their
removal.

Containers are podman's, run by runc, with storage, configuration and state below one directory. The network is a bridge
in a namespace without any way out; each pod has a namespace of its own, tied to that bridge. Removal is: end the
containers, unmount, delete the namespaces, the control groups and the directory.
"""

import atexit
import fcntl
import glob
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

DEFAULT_SECCOMP = "/usr/share/containers/seccomp.json"
PREFIX = "slipstream-pods-"


def run(command, timeout_s=120, **options):
    """Runs a command to its end and returns its output; its failure is an exception that carries what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def cannot_run_containers():
    """Why containers cannot be run here, or None."""
    if os.geteuid() != 0:
        return "containers and network namespaces need root"
    for tool in ("podman", "runc", "ip"):
        if not shutil.which(tool):
            return f"{tool} is not installed"
    probe = f"{PREFIX}probe-{os.getpid()}"
    try:
        run(["ip", "netns", "add", probe])
    except RuntimeError:
        return "network namespaces cannot be made here"
    run(["ip", "netns", "delete", probe])
    return None


class Machine:
    """Use as a context, or call remove(); an exit of the program removes it too. `archive` is an OCI archive of one
    image."""

    def __init__(self, archive):
        sweep()
        self.name = f"{PREFIX}{os.getpid()}"
        self.directory = tempfile.mkdtemp(prefix=f"{self.name}-")
        # Held as long as this program lives: how a later one tells a directory in use from one left behind.
        self._lock = open(os.path.join(self.directory, "lock"), "w", encoding="ascii")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        atexit.register(self.remove)
        # A termination becomes an ordinary exit, which runs the line above.
        for each in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, lambda *_: sys.exit(1))
        self._configure()
        # What every `podman run` is told: to take an image that is there, and where its control group belongs.
        self.run_options = ["--pull", "never", "--cgroup-parent", f"/{self.name}"]
        self._pods_made = 0
        run(["ip", "netns", "add", self.name])
        run(["ip", "-n", self.name, "link", "add", "bridge", "type", "bridge"])
        run(["ip", "-n", self.name, "link", "set", "bridge", "up"])
        self.podman("load", "--quiet", "--input", archive)
        names = json.loads(self.podman("images", "--format", "json"))[0]["Names"]
        self.image = names[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def _configure(self):
        # Raising a limit may be refused where root is not all-powerful, so containers get what this process has, or
        # less.
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        files = 65536 if files == resource.RLIM_INFINITY else min(files, 65536)
        with open(self.path("containers.conf"), "w", encoding="ascii") as file:
            file.write(
                f'[containers]\ndefault_ulimits = ["nofile={files}:{files}", "nproc=4096:4096"]\n'
                '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\nlock_type = "file"\nruntime = "runc"\n'
            )
        os.mkdir(self.path("unpacked"))
        self.environment = {
            **os.environ, "CONTAINERS_CONF": self.path("containers.conf"), "TMPDIR": self.path("unpacked")
        }

    def podman_command(self, *arguments):
        store = ["--root", self.path("store"), "--runroot", self.path("run"), "--tmpdir", self.path("tmp")]
        return ["podman", *store, *arguments]

    def podman(self, *arguments, timeout_s=120):
        return run(self.podman_command(*arguments), timeout_s=timeout_s, env=self.environment)

    def add_pod_network(self):
        """A namespace with an address that no pod had before. Returns (its name, the address)."""
        self._pods_made += 1
        number = self._pods_made
        namespace, address = f"{self.name}-{number}", f"10.244.{number // 250}.{number % 250 + 1}"
        inside = ["ip", "-n", namespace]
        run(["ip", "netns", "add", namespace])
        run([*inside, "link", "set", "lo", "up"])
        outside, peer = ["ip", "-n", self.name, "link"], ["peer", "name", "eth0", "netns", namespace]
        run([*outside, "add", f"pod{number}", "type", "veth", *peer])
        run([*outside, "set", f"pod{number}", "master", "bridge", "up"])
        run([*inside, "address", "add", f"{address}/16", "dev", "eth0"])
        run([*inside, "link", "set", "eth0", "up"])
        return namespace, address

    def cut_off(self, *namespaces):
        """These reach each other, and nobody else, until rejoin(): a network that has come apart."""
        inside = ["ip", "-n", self.name, "link"]
        run([*inside, "add", "apart", "type", "bridge"])
        run([*inside, "set", "apart", "up"])
        self._bridge("apart", namespaces)

    def rejoin(self, *namespaces):
        self._bridge("bridge", namespaces)
        run(["ip", "-n", self.name, "link", "delete", "apart"])

    def _bridge(self, bridge, namespaces):
        for namespace in namespaces:
            number = namespace.rsplit("-", 1)[1]
            run(["ip", "-n", self.name, "link", "set", f"pod{number}", "master", bridge])

    def remove_pod_network(self, namespace):
        run(["ip", "netns", "delete", namespace])

    def seccomp_profile(self, name, change):
        """Writes podman's default profile with `change` applied to it (a function of the parsed JSON). Returns its
        path."""
        with open(DEFAULT_SECCOMP, encoding="utf-8") as file:
            profile = json.load(file)
        change(profile)
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(profile, file)
        return path

    def remove(self):
        atexit.unregister(self.remove)
        if os.path.exists(self.directory):
            remove_leavings(self.directory, self.name)
            self._lock.close()


def remove_leavings(directory, name):
    """Ends and removes all that a machine left in its directory and under its name, as far as it is still there."""

    def quietly(command, **options):
        return subprocess.run(command, capture_output=True, text=True, check=False, **options).stdout

    environment = {**os.environ, "CONTAINERS_CONF": os.path.join(directory, "containers.conf")}
    store = [f"--{option}={os.path.join(directory, part)}" for option, part in
             (("root", "store"), ("runroot", "run"), ("tmpdir", "tmp"))]
    quietly(["podman", *store, "rm", "--all", "--force", "--volumes", "--time", "0"], env=environment)
    quietly(["podman", *store, "rmi", "--all", "--force"], env=environment)
    for line in quietly(["ip", "netns", "list"]).splitlines():
        namespace = line.split()[0]
        if namespace == name or namespace.startswith(f"{name}-"):
            quietly(["ip", "netns", "delete", namespace])
    with open("/proc/self/mounts", encoding="utf-8") as file:
        mounts = [line.split()[1] for line in file]
    for mount in sorted((m for m in mounts if m.startswith(f"{directory}/")), reverse=True):
        quietly(["umount", "--lazy", mount])
    for group in glob.glob(f"/sys/fs/cgroup/{name}") + glob.glob(f"/sys/fs/cgroup/*/{name}"):
        for path, _, _ in os.walk(group, topdown=False):
            quietly(["rmdir", path])
    shutil.rmtree(directory, ignore_errors=True)


def sweep():
    """Removes what earlier programs left that were killed without a chance to do so."""
    root = tempfile.gettempdir()
    for entry in os.listdir(root):
        directory = os.path.join(root, entry)
        if not entry.startswith(PREFIX) or not os.path.exists(os.path.join(directory, "lock")):
            continue
        with open(os.path.join(directory, "lock"), encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            remove_leavings(directory, entry.rsplit("-", 1)[0])
