package radstream.results;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.avro.generic.GenericRecord;

/** An event as text, as radstream's docs/results.md has it. */
final class ResultText {
    private static final Pattern UNSAFE =
            Pattern.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]");
    private static final DateTimeFormatter MOMENT =
            DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss.SSS'Z'", Locale.ROOT).withZone(ZoneOffset.UTC);
    private static final int DIGITS = 6;

    private final List<String> lines = new ArrayList<>();

    private ResultText() {}

    /** Several lines, the last of them empty. */
    static String of(Event event) {
        ResultText text = new ResultText();
        if (event.type().equals(Event.RESULT)) {
            text.result(event);
        } else {
            text.review(event);
        }
        return text.lines.stream().map(line -> UNSAFE.matcher(line).replaceAll("\ufffd") + "\n")
                .collect(Collectors.joining());
    }

    /** At most six significant digits, half to even, but whole left of the point. */
    static String number(double value) {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            return Double.toString(value);
        }
        BigDecimal exact = new BigDecimal(value);
        if (exact.signum() == 0) {
            return "0";
        }
        int exponent = exact.precision() - exact.scale() - 1;
        BigDecimal rounded = exact.setScale(Math.max(0, DIGITS - 1 - exponent), RoundingMode.HALF_EVEN);
        return (rounded.scale() > 0 ? rounded.stripTrailingZeros() : rounded).toPlainString();
    }

    private void result(Event event) {
        GenericRecord record = event.record();
        String review = (Boolean) record.get("requires_review") ? " - requires review" : "";
        add(first(event, "result") + " " + text(record, "status").toUpperCase(Locale.ROOT) + review);
        add("  study " + text(record, "study_uid"));
        addIfThere("  series ", record.get("series_uid"));
        addIfThere("  instance ", record.get("sop_instance_uid"));
        addIfThere("  revision ", record.get("revision"));
        GenericRecord model = part(record, "model");
        add("  model " + text(model, "name") + " " + text(model, "version") + " by " + text(model, "backend"));
        add("  generation " + part(record, "provenance").get("generation") + ", lane " + text(event.meta(), "lane"));
        add("  outcome " + outcome(record));
        if (!text(record, "detail").isEmpty()) {
            add("  " + text(record, "detail"));
        }
        findings(record);
        for (GenericRecord made : parts(record, "objects")) {
            GenericRecord uids = part(made, "instance");
            add("  " + text(made, "kind") + " " + text(uids, "sop_instance_uid") + " in series "
                    + text(uids, "series_uid"));
        }
    }

    private void review(Event event) {
        GenericRecord record = event.record();
        add(first(event, "review") + " " + text(record, "verdict") + " by " + text(record, "reviewer"));
        add("  study " + text(record, "study_uid"));
        add("  of result " + text(record, "result_event_id"));
        Object finding = record.get("finding_id");
        add("  of " + (finding == null ? "the whole result" : "finding " + finding));
        if (record.get("note") != null) {
            add("  with a note");
        }
        findings(record);
    }

    private void findings(GenericRecord record) {
        for (GenericRecord finding : parts(record, "findings")) {
            add("  finding " + text(finding, "finding_id"));
            add("    " + text(finding, "category") + ": " + code(part(finding, "code")));
            if (finding.get("location") != null) {
                add("    location " + code(part(finding, "location")));
            }
            Object confidence = finding.get("confidence");
            String sure = confidence == null ? "" : ", confidence " + number((Double) confidence);
            add("    severity " + text(finding, "severity") + sure);
            for (GenericRecord measured : parts(finding, "measurements")) {
                add("    " + code(part(measured, "code")) + " " + number((Double) measured.get("value")) + " "
                        + text(part(measured, "unit"), "value"));
            }
            if (finding.get("geometry") != null) {
                add("    " + geometry(part(finding, "geometry")));
            }
        }
    }

    private void add(String line) {
        lines.add(line);
    }

    private void addIfThere(String label, Object value) {
        if (value != null) {
            add(label + value);
        }
    }

    private static String first(Event event, String kind) {
        String at = MOMENT.format(Instant.ofEpochMilli(event.occurredAt()));
        return at + " " + kind + " " + text(event.meta(), "event_id");
    }

    private static String outcome(GenericRecord record) {
        String outcome = text(record, "outcome");
        String because = text(record, "code").isEmpty() ? "" : ", " + text(record, "code");
        String counted = outcome.equals("analysed") ? "; " + count(parts(record, "findings").size(), "finding") : "";
        return outcome.replace('_', ' ') + because + ": " + count((Integer) record.get("input_count"), "image")
                + counted;
    }

    private static String geometry(GenericRecord geometry) {
        List<?> points = (List<?>) geometry.get("points");
        List<String> placed = new ArrayList<>();
        for (int at = 0; at < points.size(); at += 3) {
            placed.add(points.subList(at, Math.min(at + 3, points.size())).stream()
                    .map(value -> number((Double) value))
                    .collect(Collectors.joining(", ", "(", ")")));
        }
        return text(geometry, "kind") + " " + String.join(" to ", placed) + " mm on "
                + count(parts(geometry, "images").size(), "image");
    }

    private static String code(GenericRecord code) {
        return text(code, "meaning") + " (" + text(code, "scheme") + " " + text(code, "value") + ")";
    }

    private static String count(int number, String noun) {
        return (number == 0 ? "no" : number) + " " + noun + (number == 1 ? "" : "s");
    }

    private static String text(GenericRecord record, String field) {
        return record.get(field).toString();
    }

    private static GenericRecord part(GenericRecord record, String field) {
        return (GenericRecord) record.get(field);
    }

    @SuppressWarnings("unchecked")
    private static List<GenericRecord> parts(GenericRecord record, String field) {
        return (List<GenericRecord>) record.get(field);
    }
}
