namespace Frusta.Contracts.Errors;

/// <summary>The errors that the platform gives in place of a result. OpenWhisk's clients and users know these texts: they are part of compatibility.</summary>
public static class ExecutionTexts
{
    public const string ExitedDuringInit = "The action did not initialize and exited unexpectedly.";
    public const string ExitedDuringRun = "The action did not produce a valid response and exited unexpectedly.";
    public const string MemoryExhausted = "The action exhausted its memory and was aborted.";
    public const string NoSandbox = "Failed to provision resources to run the action.";
    public const string ActionRemoved = "Action could not be found or may have been deleted.";
    public const string ActionMismatch = "Action version is not compatible and cannot be invoked.";
    public const string ActionUnreadable = "Action could not be fetched.";
    public const string Interrupted = "whisk internal error";
    public const string LogsIncomplete = "There was an issue while collecting your logs. Data might be missing.";
    /// <summary>The line of the log that OpenWhisk's Go proxy writes when a process ends while its code is loaded.</summary>
    public const string EndedAbruptly = "Command exited abruptly during initialization.";

    public const string LogsAfterFailure = "The action did not initialize or run as expected. Log data might be missing.";

    public static string TimedOut(int milliseconds) => $"The action exceeded its time limits of {milliseconds} milliseconds.";

    public static string InitTimedOut(int milliseconds) =>
        $"The action exceeded its time limits of {milliseconds} milliseconds during initialization.";

    public static string InitFailed(string? body) => string.IsNullOrEmpty(body)
        ? "The action failed during initialization."
        : $"The action failed during initialization: {body}";

    public static string InvalidResponse(string? body) => string.IsNullOrEmpty(body)
        ? "The action did not produce a valid JSON or JSON Array response."
        : $"The action did not produce a valid JSON or JSON Array response: {body}";

    public static string ResponseTooLarge(long actual, long limit, string truncated) =>
        $"The action produced a response that exceeded the allowed length: {actual} > {limit} bytes. The truncated response was: {truncated}";

    public static string LogsTruncated(long bytes) =>
        $"Logs were truncated because the total bytes size exceeds the limit of {bytes} bytes.";
}
