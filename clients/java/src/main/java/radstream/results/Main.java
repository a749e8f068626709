package radstream.results;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.KafkaException;

/** Prints what models found, and what people said of it: what the topics hold, or with a group what comes. */
public final class Main {
    private static final String USAGE =
            "usage: java -jar radstream-results.jar --bootstrap HOST:PORT --registry URL --contract FOLDER [--group NAME]";
    private static final Set<String> NEEDED = Set.of("--bootstrap", "--registry", "--contract");
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    private Main() {}

    public static void main(String[] arguments) {
        Map<String, String> given = given(arguments);
        if (!given.keySet().containsAll(NEEDED)) {
            end(USAGE);
        }
        try {
            Registry registry = new Registry(given.get("--registry"));
            run(given, new RecordDecoder(registry, Path.of(given.get("--contract"))));
        } catch (Failure | IOException why) {
            end("radstream-results: " + why.getMessage());
        } catch (KafkaException error) {
            end("radstream-results: Kafka: " + error.getMessage());
        }
    }

    private static Map<String, String> given(String[] arguments) {
        Map<String, String> given = new HashMap<>();
        for (int at = 0; at + 1 < arguments.length; at += 2) {
            given.put(arguments[at], arguments[at + 1]);
        }
        return given;
    }

    private static void run(Map<String, String> given, RecordDecoder decoder) {
        String group = given.get("--group");
        CountDownLatch left = new CountDownLatch(1);
        try (ResultClient client = new ResultClient(given.get("--bootstrap"), group, decoder, System.err::println)) {
            if (group == null) {
                client.held().forEach(Main::print);
                return;
            }
            Runtime.getRuntime().addShutdownHook(new Thread(() -> leave(client, left)));
            client.follow(Main::print);
        } finally {
            left.countDown();
        }
    }

    /** Ctrl-C: what is in hand is dealt with and committed, then the group is left. */
    private static void leave(ResultClient client, CountDownLatch left) {
        if (left.getCount() > 0) {
            client.wakeup();
        }
        try {
            left.await();
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    private static void print(Event event) {
        OUT.print(ResultText.of(event) + "\n");
        OUT.flush();
    }

    private static void end(String why) {
        System.err.println(why);
        System.exit(1);
    }
}
