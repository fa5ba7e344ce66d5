import java.util.*;
// Counts words and exact matches in order; "die" kills it, "babble" makes it talk nonsense.
public class Meteor {
    public static void main(String[] args) {
        if (!String.join(" ", args).equals("- - -stdio -l en -norm"))
            throw new RuntimeException("wrong arguments");
        Scanner in = new Scanner(System.in, "UTF-8");
        while (in.hasNextLine()) {
            String[] fields = in.nextLine().split("\\|\\|\\|", -1);
            List<String> test = words(fields[fields.length - 1]);
            if (test.contains("die")) throw new IllegalStateException("out of luck");
            if (test.contains("babble")) { System.out.println("babble"); continue; }
            int best = -1, length = 0;
            for (int i = 1; i < fields.length - 1; i++) {
                List<String> reference = words(fields[i]);
                int found = 0;
                for (String word : test) if (reference.contains(word)) found++;
                if (found > best) { best = found; length = reference.size(); }
            }
            StringBuilder out = new StringBuilder();
            int[] counts = new int[23];
            counts[0] = test.size(); counts[1] = length;
            counts[4] = counts[5] = counts[21] = counts[22] = best;
            counts[20] = best == test.size() && best == length ? 1 : best;
            for (int count : counts) out.append(count + ".0 ");
            System.out.println(out.toString().trim());
        }
    }
    static List<String> words(String text) {
        return text.isBlank() ? List.of() : Arrays.asList(text.trim().split(" "));
    }
}
