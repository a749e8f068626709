package radstream.results;

/** What happened, and to what. */
final class Failure extends RuntimeException {
    private static final long serialVersionUID = 1;

    Failure(String what) {
        super(what);
    }
}
