package radstream.results;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Comparator;
import org.apache.avro.generic.GenericRecord;

/** One result or review: its CloudEvents type and id, and the record as {@code v1.avsc} has it. */
record Event(String type, String id, GenericRecord record) {
    static final String RESULT = "imaging.inference.result";
    static final String REVIEW = "imaging.review.event";

    /** By time, then by event id, as its UTF-8 bytes. */
    static final Comparator<Event> IN_TIME = Comparator.comparingLong(Event::occurredAt)
            .thenComparing(Event::eventId, Arrays::compareUnsigned);

    GenericRecord meta() {
        return (GenericRecord) record.get("meta");
    }

    /** Milliseconds since 1970, UTC. */
    long occurredAt() {
        return (Long) meta().get("occurred_at");
    }

    private byte[] eventId() {
        return meta().get("event_id").toString().getBytes(StandardCharsets.UTF_8);
    }
}
