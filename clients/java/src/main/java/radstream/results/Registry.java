package radstream.results;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.Schema;

/** Schemas by id, from the registry's Confluent-compatible API. Each is asked for once. */
final class Registry {
    private static final Duration ANSWER = Duration.ofSeconds(15);
    private static final ObjectMapper JSON = new ObjectMapper();

    private final String url;
    private final HttpClient http = HttpClient.newBuilder().connectTimeout(ANSWER).build();
    private final Map<Long, Optional<Schema>> known = new HashMap<>();

    Registry(String url) {
        this.url = url.replaceAll("/+$", "");
    }

    /** Throws Failure where the registry does not answer. */
    Schema schema(long number) throws Unreadable {
        return known.computeIfAbsent(number, this::ask)
                .orElseThrow(() -> new Unreadable("the registry has no Avro schema " + number));
    }

    private Optional<Schema> ask(long number) {
        HttpResponse<String> answer = get("/schemas/ids/" + number);
        if (answer.statusCode() == 404) {
            return Optional.empty();
        }
        if (answer.statusCode() != 200) {
            throw new Failure("the schema registry at " + url + " answers " + answer.statusCode());
        }
        try {
            return Optional.of(new Schema.Parser().parse(JSON.readTree(answer.body()).path("schema").asText()));
        } catch (JsonProcessingException | AvroRuntimeException another) {
            return Optional.empty(); // another kind of schema
        }
    }

    private HttpResponse<String> get(String path) {
        try {
            HttpRequest asked = HttpRequest.newBuilder(URI.create(url + path)).timeout(ANSWER).build();
            return http.send(asked, HttpResponse.BodyHandlers.ofString());
        } catch (IOException | IllegalArgumentException error) {
            throw new Failure("the schema registry at " + url + " does not answer");
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new Failure("interrupted");
        }
    }
}
