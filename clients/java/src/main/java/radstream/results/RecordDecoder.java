package radstream.results;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.Decoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.util.Utf8;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/** Records by the contract: reads what any version wrote as version 1, the one that this client knows. */
final class RecordDecoder {
    private static final int PREFIX = 5;
    private static final long YEAR_1_MS = -62_135_596_800_000L;
    private static final long YEAR_10000_MS = 253_402_300_800_000L;

    static {
        // Lengths are read before what they are the length of; no record of a broker is as long.
        for (String what : new String[] {"string", "bytes", "collectionItems"}) {
            System.setProperty("org.apache.avro.limits." + what + ".maxLength", String.valueOf(16 << 20));
        }
    }

    private final Registry registry;
    private final Map<String, Schema> readers;

    RecordDecoder(Registry registry, Path contract) throws IOException {
        this.registry = registry;
        this.readers = Map.of(
                Event.RESULT, parse(contract, Event.RESULT),
                Event.REVIEW, parse(contract, Event.REVIEW));
    }

    private static Schema parse(Path contract, String type) throws IOException {
        return new Schema.Parser().parse(Files.readString(contract.resolve(type).resolve("v1.avsc")));
    }

    /** The event of a record, or none where it was seen before. */
    Optional<Event> event(ConsumerRecord<byte[], byte[]> record, Set<String> seen) throws Unreadable {
        String id = header(record, "ce_id");
        String type = header(record, "ce_type");
        if (id == null) {
            throw new Unreadable("no ce_id");
        }
        if (type == null || !readers.containsKey(type)) {
            throw new Unreadable("ce_type is neither " + Event.RESULT + " nor " + Event.REVIEW);
        }
        if (seen.contains(id)) {
            return Optional.empty();
        }
        Event event = new Event(type, id, read(record.value(), readers.get(type)));
        seen.add(id);
        return Optional.of(event);
    }

    private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
        String found = null;
        for (Header header : record.headers().headers(name)) {
            found = header.value() == null ? found : new String(header.value(), StandardCharsets.UTF_8);
        }
        return found;
    }

    private GenericRecord read(byte[] value, Schema reader) throws Unreadable {
        // A zero byte, the schema's id in four bytes, then Avro.
        if (value == null || value.length < PREFIX || value[0] != 0) {
            throw new Unreadable("not in the Confluent wire format");
        }
        long number = Integer.toUnsignedLong(ByteBuffer.wrap(value).getInt(1));
        Schema writer = registry.schema(number);
        if (writer.getType() != Schema.Type.RECORD || !writer.getFullName().equals(reader.getFullName())) {
            throw new Unreadable("schema " + number + " is not " + reader.getFullName());
        }
        Unreadable broken = new Unreadable("not a record of schema " + number);
        BinaryDecoder body = DecoderFactory.get().binaryDecoder(value, PREFIX, value.length - PREFIX, null);
        GenericRecord record;
        try {
            record = new StrictReader(writer, reader).read(null, body);
            if (!body.isEnd()) {
                throw broken;
            }
        } catch (IOException | AvroRuntimeException | IndexOutOfBoundsException | UnsupportedOperationException error) {
            throw broken;
        }
        long at = (Long) ((GenericRecord) record.get("meta")).get("occurred_at");
        if (at < YEAR_1_MS || at >= YEAR_10000_MS) {
            throw broken;
        }
        return record;
    }

    /** Avro's own reader takes bytes that are no UTF-8, and shows something else. */
    private static final class StrictReader extends GenericDatumReader<GenericRecord> {
        StrictReader(Schema writer, Schema reader) {
            super(writer, reader, new GenericData().setFastReaderEnabled(false));
        }

        @Override
        protected Object readString(Object old, Schema expected, Decoder in) throws IOException {
            Utf8 read = in.readString(null);
            ByteBuffer bytes = ByteBuffer.wrap(read.getBytes(), 0, read.getByteLength());
            return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
        }
    }
}
