"""What SPICE's program misses in Java 15 and later: a script engine called JavaScript, through which it writes.

After hours of parsing, the program hands its result, which is JSON already, to that engine to have it indented, and
fails where there is none. Java took its engine out in version 15. Ours gives back what it is given; it is compiled
where it is used, as that takes a second and a binary in the package could not be read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

from wsac.evaluation.metrics.items import MissingError
from wsac.io.files import atomic_path
from wsac.types import WsacError

from .runtime import complaint

LAST = 14  # the last Java with an engine of its own
_NAME = "WsacEcho"
_SOURCE = """
import java.io.*;
import java.util.*;
import javax.script.*;

public class WsacEcho extends AbstractScriptEngine implements ScriptEngineFactory {
    public Object eval(String script, ScriptContext context) {
        put("result", get("jsonString"));
        return get("result");
    }
    public Object eval(Reader script, ScriptContext context) { return eval("", context); }
    public Bindings createBindings() { return new SimpleBindings(); }
    public ScriptEngineFactory getFactory() { return this; }
    public ScriptEngine getScriptEngine() { return new WsacEcho(); }
    public List<String> getNames() { return Arrays.asList("JavaScript"); }
    public List<String> getMimeTypes() { return Arrays.asList(); }
    public List<String> getExtensions() { return Arrays.asList(); }
    public String getEngineName() { return "echo"; }
    public String getEngineVersion() { return "1"; }
    public String getLanguageName() { return "none"; }
    public String getLanguageVersion() { return "1"; }
    public Object getParameter(String key) { return null; }
    public String getMethodCallSyntax(String object, String method, String... arguments) { return ""; }
    public String getOutputStatement(String text) { return ""; }
    public String getProgram(String... statements) { return ""; }
}
"""


def build_engine(java: Path, version: int, folder: Path) -> Path:
    """The engine as a jar in ``folder``, compiled the first time. Raises MissingError where there is no javac."""
    jar = folder / f"engine-{version}.jar"
    if jar.is_file():
        return jar
    javac = java.with_name(java.name.replace("java", "javac"))
    found = str(javac) if javac.is_file() else shutil.which("javac")
    if found is None or (os.environ.get("JAVA_HOME") and not javac.is_file()):
        raise MissingError(
            f"SPICE's program ends in an error on Java {LAST + 1} and later, and {java} is {version}; "
            f"set JAVA_HOME to a Java 8 to {LAST}, or to a JDK of {LAST + 1} or later: with its javac "
            "wsac adds what is missing"
        )
    with tempfile.TemporaryDirectory(prefix="wsac-engine-") as work:
        Path(work, f"{_NAME}.java").write_text(_SOURCE, encoding="utf-8")
        command = [found, "--release", str(LAST + 1), f"{_NAME}.java"]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, errors="replace")
        if done.returncode:
            raise WsacError(
                f"{found}: cannot compile ({complaint(done.stderr + done.stdout)}); set JAVA_HOME to a JDK"
            )
        with atomic_path(jar) as temporary, zipfile.ZipFile(temporary, "w") as packed:
            packed.write(Path(work, f"{_NAME}.class"), f"{_NAME}.class")
            packed.writestr("META-INF/services/javax.script.ScriptEngineFactory", f"{_NAME}\n")
    return jar
