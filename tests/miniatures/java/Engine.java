import java.io.*;
import java.util.*;
import javax.script.*;
// A JavaScript engine that gives back the JSON that SPICE wants indented.
public class Engine extends AbstractScriptEngine implements ScriptEngineFactory {
    public Object eval(String script, ScriptContext context) {
        put("result", get("jsonString"));
        return get("result");
    }
    public Object eval(Reader script, ScriptContext context) { return eval("", context); }
    public Bindings createBindings() { return new SimpleBindings(); }
    public ScriptEngineFactory getFactory() { return this; }
    public ScriptEngine getScriptEngine() { return new Engine(); }
    public List<String> getNames() { return Arrays.asList("JavaScript"); }
    public List<String> getMimeTypes() { return Arrays.asList(); }
    public List<String> getExtensions() { return Arrays.asList(); }
    public String getEngineName() { return "echo"; }
    public String getEngineVersion() { return "1"; }
    public String getLanguageName() { return "none"; }
    public String getLanguageVersion() { return "1"; }
    public Object getParameter(String key) { return null; }
    public String getMethodCallSyntax(String o, String name, String... a) { return ""; }
    public String getOutputStatement(String text) { return ""; }
    public String getProgram(String... statements) { return ""; }
}
