import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.FileSystems;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Runs named checks and prints one line for each, as {@code ../python/checks.py} does; knows no client. */
final class Checks {
    static final String BOOTSTRAP = System.getenv("BOOTSTRAP");
    private static final int CHECK_SECONDS_MAX = 120;
    private static final String RUN = Long.toString(ProcessHandle.current().pid(), 36);

    interface Action {
        void run() throws Exception;
    }

    private record Check(String name, Action action) {
    }

    private final List<Check> checks = new ArrayList<>();

    Checks add(String name, Action action) {
        checks.add(new Check(name, action));
        return this;
    }

    /** Runs all and ends the program: threads of a client that a failed check left behind must not keep it alive. */
    void run() {
        boolean failed = false;
        ExecutorService runner = Executors.newCachedThreadPool();
        for (Check check : checks) {
            if (leftOut(check.name)) {
                System.out.println("ok - " + check.name + " # SKIP left out by the table");
                continue;
            }
            try {
                runner.submit((Callable<Void>) () -> {
                    check.action.run();
                    return null;
                }).get(CHECK_SECONDS_MAX, TimeUnit.SECONDS);
                System.out.println("ok - " + check.name);
            } catch (ExecutionException | InterruptedException | TimeoutException error) {
                failed = true;
                Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
                cause.printStackTrace();
                System.out.println("not ok - " + check.name + ": " + oneLine(cause.toString()));
            }
        }
        System.out.println("all checks done");
        System.exit(failed ? 1 : 0);
    }

    private static boolean leftOut(String name) {
        for (String pattern : System.getenv().getOrDefault("NOT_RUN", "").split(",")) {
            if (!pattern.isEmpty() && FileSystems.getDefault().getPathMatcher("glob:" + pattern).matches(Path.of(name))) {
                return true;
            }
        }
        return false;
    }

    private static String oneLine(String text) {
        String line = text.replaceAll("\\s+", " ");
        return line.substring(0, Math.min(300, line.length()));
    }

    /** A topic or group name of this run only. */
    static String unique(String name) {
        return name + "-" + RUN;
    }

    static void expect(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static void same(Object found, Object wanted, String what) {
        expect(found.equals(wanted), what + ": found " + found + ", wanted " + wanted);
    }

    static void eventually(String what, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (!condition.call()) {
            expect(System.nanoTime() < deadline, "not within 30 s: " + what);
            Thread.sleep(50);
        }
    }

    /** {@code action} must fail with {@code type}, directly or as the cause. */
    static <E extends Throwable> E refused(Class<E> type, Action action) throws Exception {
        try {
            action.run();
        } catch (Exception error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                if (type.isInstance(cause)) {
                    return type.cast(cause);
                }
            }
            throw new AssertionError("expected " + type.getSimpleName() + ", not " + error, error);
        }
        throw new AssertionError("no error, expected " + type.getSimpleName());
    }

    static void killAndRestartBroker() throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("CONTROL") + "/kill-and-restart"))
            .POST(HttpRequest.BodyPublishers.noBody()).build();
        HttpResponse<String> answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        expect(answer.statusCode() == 200, "the harness answers " + answer.body());
    }
}
