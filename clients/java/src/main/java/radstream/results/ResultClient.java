package radstream.results;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Delivery is at least once: each event is given once. {@code skipped} is told of each record that cannot be read. */
final class ResultClient implements AutoCloseable {
    /** The most urgent lane first, then what people said. */
    private static final List<String> TOPICS =
            List.of(Event.RESULT + ".stat", Event.RESULT, Event.RESULT + ".bulk", Event.REVIEW);
    private static final int ANSWER_MS = 15_000;
    private static final Duration POLL = Duration.ofSeconds(1);

    private final KafkaConsumer<byte[], byte[]> consumer;
    private final RecordDecoder decoder;
    private final Consumer<String> skipped;
    private final Set<String> seen = new HashSet<>();

    /** {@code group} is null where none is joined. */
    ResultClient(String bootstrap, String group, RecordDecoder decoder, Consumer<String> skipped) {
        this.decoder = decoder;
        this.skipped = skipped;
        Map<String, Object> settings = new HashMap<>(Map.of(
                "bootstrap.servers", bootstrap,
                "auto.offset.reset", "earliest",
                "enable.auto.commit", false,
                "allow.auto.create.topics", false,
                "default.api.timeout.ms", ANSWER_MS));
        if (group != null) {
            settings.put("group.id", group);
        }
        consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** What the topics hold now, in the order of time. Joins no group and commits nothing. */
    List<Event> held() {
        List<ConsumerRecord<byte[], byte[]>> records = untilEnds();
        records.sort(Comparator.<ConsumerRecord<byte[], byte[]>>comparingInt(record -> TOPICS.indexOf(record.topic()))
                .thenComparingInt(ConsumerRecord::partition)
                .thenComparingLong(ConsumerRecord::offset));
        List<Event> events = new ArrayList<>();
        records.forEach(record -> give(record, events::add));
        events.sort(Event.IN_TIME);
        return events;
    }

    /**
     * What is written, until {@link #wakeup}. Records are committed when they were dealt with. What was dealt with and
     * not committed comes again after a restart: a system that keeps results has a unique key on the event's id, and
     * that is {@code seen}.
     */
    void follow(Consumer<Event> dealWith) {
        consumer.subscribe(TOPICS);
        try {
            while (true) {
                consumer.poll(POLL).forEach(record -> give(record, dealWith));
                commit();
            }
        } catch (WakeupException asked) {
            return;
        }
    }

    /** Ends {@link #follow}; from any thread. */
    void wakeup() {
        consumer.wakeup();
    }

    @Override
    public void close() {
        consumer.close();
    }

    private void commit() {
        try {
            consumer.commitSync();
        } catch (CommitFailedException | RetriableException error) {
            // The next commit says it too, or the records come again and are known.
        }
    }

    private List<ConsumerRecord<byte[], byte[]>> untilEnds() {
        List<TopicPartition> partitions = TOPICS.stream()
                .flatMap(topic -> consumer.partitionsFor(topic).stream())
                .map(found -> new TopicPartition(found.topic(), found.partition()))
                .toList();
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        long deadline = System.nanoTime() + ANSWER_MS * 1_000_000L;
        while (partitions.stream().anyMatch(name -> consumer.position(name) < ends.get(name))) {
            int before = records.size();
            consumer.poll(POLL).forEach(records::add);
            deadline = records.size() > before ? System.nanoTime() + ANSWER_MS * 1_000_000L : deadline;
            if (System.nanoTime() > deadline) {
                throw new Failure("the broker does not answer");
            }
        }
        return records;
    }

    private void give(ConsumerRecord<byte[], byte[]> record, Consumer<Event> dealWith) {
        try {
            decoder.event(record, seen).ifPresent(dealWith);
        } catch (Unreadable why) {
            String place = record.topic() + "/" + record.partition() + " offset " + record.offset();
            skipped.accept("skipped " + place + ": " + why.getMessage());
        }
    }
}
