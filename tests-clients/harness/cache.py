"""What the suites need beside a language runtime: packages, jars, modules, compiled programs.

Everything is fetched by the ordinary client of its registry into `target/cache/`, once: each step
leaves a stamp with a digest of what it was made from, and a warm cache costs milliseconds. A missing
runtime is `NotHere`, never a download.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
STEP_SECONDS_MAX = 1200
RSKAFKA = "0.6.0"
RDKAFKA = "0.39.0"
# The npm package holds the source of librdkafka whole, its tests too; the crate and the wheels do not.
LIBRDKAFKA_PACKAGE = "node-rdkafka@3.6.1"
LIBRDKAFKA_SHA256 = "148f7e7b65c510314c70762d8f1be052c8fe1fdf03a128e6c78083a729a57a30"
LIBRDKAFKA = "2.12.0"


class NotHere(Exception):
    """Something that only the machine's owner can install is missing; the text says what."""


def runtime(command, package):
    """The path of a command of a language runtime; `package` is what to install for it."""
    path = shutil.which(command)
    if path is None:
        raise NotHere(f"no `{command}` on this machine (Debian: {package})")
    return path


class Cache:
    def __init__(self, root: Path):
        self.root = root
        self.python = root / "python"
        self.node = root / "node"
        self.go = root / "go"
        self.kafka_python = root / "kafka-python"
        self.making = threading.Lock()
        root.mkdir(parents=True, exist_ok=True)

    def jars(self, what):
        return self.root / "kafka" / what

    # One method per need; each returns the path that its users want.

    def with_jars(self, what):
        """Kafka's jars: `broker`, `tools` or `clients`, each in a folder of its own."""
        runtime("java", "openjdk-17-jdk-headless")
        maven = runtime("mvn", "maven")
        pom = HERE / "java" / "poms" / f"kafka-{what}.xml"
        folder = self.jars(what)

        def make():
            shutil.rmtree(folder, ignore_errors=True)
            run([maven, "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={folder}"])
        self.once(f"kafka-{what}", [pom], make)
        return folder

    def with_java_programs(self):
        """Our Java programs, compiled against kafka-clients."""
        jars = self.with_jars("clients")
        javac = runtime("javac", "openjdk-17-jdk-headless")
        sources = sorted([*(HERE / "java").glob("*.java"), *(HERE / "flights").glob("*.java")])
        classes = self.root / "java-classes"

        def make():
            shutil.rmtree(classes, ignore_errors=True)
            run([javac, "-Xlint:all", "-Werror", "-cp", f"{jars}/*", "-d", classes, *sources])
        self.once("java-programs", sources, make)
        return f"{classes}:{jars}/*"

    def with_python(self):
        """A virtual environment with confluent-kafka, kafka-python and pyarrow."""
        python = runtime("python3", "python3-venv")
        requirements = HERE / "python" / "requirements.txt"

        def make():
            shutil.rmtree(self.python, ignore_errors=True)
            run([python, "-m", "venv", self.python])
            run([self.python / "bin/pip", "install", "-q", "--disable-pip-version-check", "-r", requirements])
        self.once("python", [requirements], make)
        return self.python / "bin/python"

    def with_kafka_python_tests(self):
        """The source distribution of kafka-python: its own integration tests are in it."""
        python = self.with_python()
        requirements = HERE / "python" / "requirements.txt"
        wanted = next(line.strip() for line in requirements.read_text().splitlines()
                      if line.startswith("kafka-python"))
        missing_module = HERE / "python" / "kafka_python_service.py"

        def make():
            shutil.rmtree(self.kafka_python, ignore_errors=True)
            self.kafka_python.mkdir()
            run([python, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
                 "--no-binary", ":all:", "-d", self.kafka_python, wanted])
            archive = next(self.kafka_python.glob("*.tar.gz"))
            with tarfile.open(archive) as tar:
                tar.extractall(self.kafka_python, filter="data")
            next(self.kafka_python.glob("*/test")).rename(self.kafka_python / "test")
            # The distribution leaves out what makes `test` a package, and a module that its fixtures import.
            (self.kafka_python / "test" / "__init__.py").touch()
            shutil.copy(missing_module, self.kafka_python / "test" / "service.py")
        self.once("kafka-python", [requirements, missing_module], make)
        return self.kafka_python

    def with_node(self):
        """node_modules with kafkajs, its codecs and the flights of vega-datasets."""
        runtime("node", "nodejs")
        npm = runtime("npm", "npm")
        lock = [HERE / "node" / "package.json", HERE / "node" / "package-lock.json"]

        def make():
            shutil.rmtree(self.node, ignore_errors=True)
            self.node.mkdir()
            for file in lock:
                shutil.copy(file, self.node)
            run([npm, "ci", "--no-audit", "--no-fund", "--silent"], cwd=self.node)
        self.once("node", lock, make)
        return self.node / "node_modules"

    def with_go_program(self, name):
        go = runtime("go", "golang-go")
        source = HERE / "go"
        files = sorted([*source.glob("go.*"), *source.glob("*/*.go")])
        program = self.go / name

        def make():
            # GOTOOLCHAIN=local: a module that wants another Go is an error, not a download.
            run([go, "build", "-o", program, f"./{name}"], cwd=source,
                env=os.environ | {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"})
        self.once(f"go-{name}", files, make)
        return program

    def with_rdkafka_tests(self):
        """The published rdkafka crate holds its tests: copied out of cargo's registry and built."""
        runtime("g++", "g++")
        runtime("make", "make")
        return self.crate_tests("rdkafka", RDKAFKA, lambda cargo, source: ["--locked"])

    def with_librdkafka_tests(self):
        """librdkafka and the program of its tests, without TLS and without optimization: the path of the program."""
        npm = runtime("npm", "npm")
        runtime("g++", "g++")
        runtime("make", "make")
        folder = self.root / "librdkafka"
        source = folder / "package/deps/librdkafka"

        def make():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            archive = folder / run([npm, "pack", "--silent", LIBRDKAFKA_PACKAGE], cwd=folder).strip()
            found = hashlib.sha256(archive.read_bytes()).hexdigest()
            if found != LIBRDKAFKA_SHA256:
                raise RuntimeError(f"{archive.name} has the SHA-256 {found}, not {LIBRDKAFKA_SHA256}")
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
            run(["./configure", "--disable-ssl", "--disable-gssapi", "--disable-curl", "--disable-zstd", "--disable-lz4-ext",
                 "--disable-optimization", "--disable-debug-symbols"], cwd=source)
            jobs = f"-j{os.cpu_count()}"
            run(["make", jobs, "librdkafka.a"], cwd=source / "src")
            run(["make", jobs, "librdkafka++.a"], cwd=source / "src-cpp")
            run(["make", jobs, "test-runner"], cwd=source / "tests")
        self.once("librdkafka", [LIBRDKAFKA_SHA256], make)
        return source / "tests/test-runner"

    def with_rskafka_tests(self):
        """Those of rskafka that need neither a JVM nor librdkafka, which its others compare it with."""
        def trimmed(cargo, source):
            for name in ("produce_consume", "java_helper", "rdkafka_helper"):
                (source / f"tests/{name}.rs").unlink()
            shutil.rmtree(source / "benches")
            (source / "rust-toolchain.toml").unlink()  # Its own choice of a compiler.
            manifest = source / "Cargo.toml"
            sections = re.split(r"(?m)^(?=\[)", manifest.read_text())
            unwanted = re.compile(r"\[dev-dependencies\.(criterion|j4rs|rdkafka|proptest|proptest-derive)\]|\[\[bench\]\]"
                                  r"|\[\[test\]\]\s+name = \"(produce_consume|java_helper|rdkafka_helper)\"")
            manifest.write_text("".join(section for section in sections if not unwanted.match(section)))
            # The rsasl of its lock file does not compile any more.
            run([cargo, "update", "-p", "rsasl", "--precise", "2.3.1"], cwd=source)
            return ["--test", "client", "--test", "consumer", "--test", "producer"]
        return self.crate_tests("rskafka", RSKAFKA, trimmed)

    def crate_tests(self, name, version, prepare):
        """The tests of a published crate as {name of the test program: its path}. `prepare` changes the copy of its
        source, and says what cargo is to be told."""
        cargo = runtime("cargo", "rustup, see rust-toolchain.toml")
        source, build = self.root / name / "source", self.root / name / "target"
        programs = self.root / name / "programs.json"

        def make():
            shutil.rmtree(source, ignore_errors=True)
            shutil.copytree(self.crate(cargo, name, version), source)
            # It lies inside our workspace and is none of its members.
            with open(source / "Cargo.toml", "a") as manifest:
                manifest.write("\n[workspace]\n")
            told = prepare(cargo, source)
            built = run([cargo, "test", "--no-run", *told, "--message-format=json"], cwd=source,
                        env=os.environ | {"CARGO_TARGET_DIR": str(build)})
            found = {}
            for line in built.splitlines():
                message = json.loads(line)
                if message.get("executable") and message["target"]["kind"] == ["test"]:
                    found[message["target"]["name"]] = message["executable"]
            programs.write_text(json.dumps(found))
        self.once(name, [version], make)
        return json.loads(programs.read_text())

    def crate(self, cargo, name, version):
        """Where cargo keeps the source of a published crate, after fetching it."""
        probe = self.root / f"{name}-fetch"
        (probe / "src").mkdir(parents=True, exist_ok=True)
        (probe / "src/lib.rs").write_text("")
        (probe / "Cargo.toml").write_text(
            f'[package]\nname = "fetch"\nedition = "2021"\n[workspace]\n[dependencies]\n{name} = "={version}"\n')
        metadata = json.loads(run([cargo, "metadata", "--format-version", "1"], cwd=probe))
        found = next(package for package in metadata["packages"] if package["name"] == name)
        return Path(found["manifest_path"]).parent

    def once(self, name, inputs, make):
        """Runs `make` unless it has run before with the same `inputs`: the content of files, or a version."""
        content = (given.read_bytes() if isinstance(given, Path) else given.encode() for given in inputs)
        digest = hashlib.sha256(b"\0".join(content)).hexdigest()
        stamp = self.root / f"{name}.stamp"
        with self.making:
            if stamp.exists() and stamp.read_text() == digest:
                return
            print(f"preparing {name} ...", flush=True)
            stamp.unlink(missing_ok=True)
            make()
            stamp.write_text(digest)


def run(command, cwd=None, env=None):
    """Runs a step of preparation and returns what it printed; its errors are shown whole."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=STEP_SECONDS_MAX)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout
