public final class JavaClientChecks { public static void main(String[] a) {} }
