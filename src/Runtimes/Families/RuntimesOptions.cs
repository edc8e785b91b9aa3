using Frusta.Contracts.Options;

namespace Frusta.Runtimes.Families;

/// <summary>How runtimes are found and spoken to (section <c>Runtimes</c>).</summary>
public sealed class RuntimesOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Runtimes";

    [SameSection]
    public NodeOptions Node { get; } = new();

    [SameSection]
    public PythonOptions Python { get; } = new();

    /// <summary>Folder with the runners, one folder a family; empty looks beside the program and above it.</summary>
    public string RunnersFolder { get; set; } = "";

    /// <summary>Dummy runs that warm a stem cell. 0 to 1000.</summary>
    public int PrimingRuns { get; set; } = 12;

    /// <summary>Milliseconds between two looks at the output of running activations: how long a full pipe may hold up user code before it is read. 1 to 1000.</summary>
    public int OutputTickMs { get; set; } = 2;

    /// <summary>The first rule that is broken, naming key, rule and value; null when all hold.</summary>
    public string? Validate() =>
        Node.Validate()
        ?? Python.Validate()
        ?? Missing(nameof(RunnersFolder), RunnersFolder, "a folder with runners", RuntimeFamilies.HasRunners)
        ?? OutOfBounds(nameof(PrimingRuns), PrimingRuns, 0, 1000)
        ?? OutOfBounds(nameof(OutputTickMs), OutputTickMs, 1, 1000);

    /// <summary>The broken rule that a path must be empty or lead to <paramref name="what"/>; null when it holds.</summary>
    internal static string? Missing(string key, string path, string what, Func<string, bool> isThere) => path.Length == 0 || isThere(path)
        ? null
        : $"{Section}:{key} must be the path of {what}, but there is none at {Path.GetFullPath(path)}.";

    private static string? OutOfBounds(string key, int value, int least, int greatest) => value < least || value > greatest
        ? $"{Section}:{key} must be from {least} to {greatest}, but it is {value}."
        : null;
}
