package edu.anu.spice;
import java.io.*;
import java.nio.file.*;
import java.util.*;
import java.util.regex.*;
import javax.script.*;
// Scores the share of words that are in the references; "die" kills it, "half" ends its output.
public class SpiceScorer {
    public static void main(String[] args) throws Exception {
        String in = Files.readString(Path.of(args[0]));
        if (!args[1].equals("-out")) throw new RuntimeException("wrong arguments");
        Class.forName("Parser");  // of the jar that the manifest names
        Matcher m = Pattern.compile(
            "\"image_id\": (\\d+), \"test\": \"([^\"]*)\", \"refs\": \\[([^\\]]*)").matcher(in);
        List<String> out = new ArrayList<>();
        while (m.find()) {
            if (m.group(2).contains("die")) throw new IllegalStateException("out of luck");
            String[] words = m.group(2).split(" ");
            int found = 0;
            String known = " " + m.group(3).replace("\"", " ") + " ";
            for (String word : words) if (known.contains(" " + word + " ")) found++;
            String f = m.group(2).contains("nan") ? "NaN" : "" + (double) found / words.length;
            String scores = "{\"All\": {\"f\": " + f + "}}";
            out.add(0, "{\"image_id\": " + m.group(1) + ", \"scores\": " + scores + "}");
            if (m.group(2).contains("half")) out.clear();
        }
        // as SPICE does, which Java 15 breaks
        try (Writer writer = new BufferedWriter(new FileWriter(args[2]))) {
            ScriptEngine engine = new ScriptEngineManager().getEngineByName("JavaScript");
            engine.put("jsonString", "[" + String.join(", ", out) + "]");
            engine.eval("result = JSON.stringify(JSON.parse(jsonString), null, 2)");
            writer.write((String) engine.get("result"));
        }
    }
}
