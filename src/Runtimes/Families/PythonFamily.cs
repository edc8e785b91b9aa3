using Frusta.Runtimes.Frames;

namespace Frusta.Runtimes.Families;

/// <summary>Python.</summary>
internal sealed class PythonFamily : RuntimeFamily
{
    public override string Name => "python";

    public override string Title => "Python";

    public override IReadOnlyList<string> Kinds { get; } = ["python:3.10", "python:3.11"];

    public override int StemCells => 1;

    internal override bool AddressSpaceMayBeLimited => true;

    /// <summary>In OpenWhisk's image a proxy outlives the process, and answers with these.</summary>
    internal override WordsOfEnd WordsOfEnd { get; } = new(
        "{\"error\":\"Cannot start action. Check logs for details.\"}\n"u8.ToArray(),
        "{\"error\":\"command exited\"}\n"u8.ToArray());

    internal override string Runner => "python/runner.py";

    internal override Version LeastVersion { get; } = new(3, 10);

    internal override string ProgramOf(RuntimesOptions options) => options.Python.PythonPath;

    private protected override void AddVariables(Dictionary<string, string> environment, Interpreter interpreter, RuntimeHost host) =>
        environment["PYTHONIOENCODING"] = "UTF-8";
}

/// <summary>How Python is found (in section <c>Runtimes</c>).</summary>
public sealed class PythonOptions
{
    private const string StockPython = "/usr/bin/python3";

    /// <summary>Path of the Python program, version 3.10 or later. A path other than the default must exist.</summary>
    public string PythonPath { get; set; } = StockPython;

    /// <summary>The first rule that is broken, naming key, rule and value; null when all hold.</summary>
    public string? Validate() =>
        RuntimesOptions.Missing(nameof(PythonPath), PythonPath, "a program", static path => path is StockPython || File.Exists(path)); // a host without Python is no mistake
}
