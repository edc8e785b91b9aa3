using System.Globalization;
using Frusta.Runtimes.Frames;

namespace Frusta.Runtimes.Families;

/// <summary>Node.js.</summary>
internal sealed class NodeFamily : RuntimeFamily
{
    private const int LargestHeapMb = 4096;

    public override string Name => "nodejs";

    public override string Title => "Node.js";

    public override IReadOnlyList<string> Kinds { get; } = ["nodejs:18", "nodejs:20"];

    public override int StemCells => 2;

    internal override bool IsForItsMemoryOnly => true;

    internal override bool AddressSpaceMayBeLimited => false;

    /// <summary>None: in OpenWhisk's image the process is the server itself, and its end leaves no server to answer.</summary>
    internal override WordsOfEnd WordsOfEnd => WordsOfEnd.None;

    internal override string Runner => "nodejs/runner.js";

    internal override Version LeastVersion { get; } = new(20, 0);

    /// <summary>
    /// Code may call <c>gc</c>, as in OpenWhisk's image. Node does not shrink a small heap that allocates little: it would grow again with
    /// the next runs, at a page fault for each page.
    /// </summary>
    internal override IReadOnlyList<string> Flags { get; } = ["--expose-gc", "--no-memory-reducer-for-small-heaps"];

    /// <summary>
    /// The heap may have seven eighths of the memory. With more, the sandbox would reach its limit before Node collects garbage; with less, some
    /// actions that fit into OpenWhisk's image would not fit here. By itself Node sees the memory of the whole machine in a sandbox.
    /// </summary>
    internal override IReadOnlyList<string> MemoryFlags(int memoryMb) =>
        [$"--max-old-space-size={Math.Min(memoryMb * 7 / 8, LargestHeapMb).ToString(CultureInfo.InvariantCulture)}"];

    internal override string ProgramOf(RuntimesOptions options) => options.Node.NodePath.Length > 0 ? options.Node.NodePath : Interpreter.OnPath("node");

    internal override string Remark(RuntimeHost host) => PackagesFolder(host) is null ? "; the npm package openwhisk is not installed" : "";

    /// <summary>All families have TZ: without it Node walks the whole tree of time zones at its first date, for 18 to 20 ms.</summary>
    private protected override void AddVariables(Dictionary<string, string> environment, Interpreter interpreter, RuntimeHost host)
    {
        if (interpreter.Prefix is not null)
        {
            environment["PATH"] += $":{Path.GetDirectoryName(interpreter.Path)}"; // npm is beside it
        }

        if (!host.Options.Node.NpmInstallAtInit)
        {
            environment["OW_ENABLE_INIT_INSTALL"] = "false";
        }

        if (PackagesFolder(host) is { } modules)
        {
            environment["NODE_PATH"] = modules;
        }
    }

    private protected override string? PackagesFolder(RuntimeHost host)
    {
        var configured = host.Options.Node.NodeModulesFolder;
        if (configured.Length > 0)
        {
            return Directory.Exists(configured) ? Path.GetFullPath(configured) : null;
        }

        var beside = Path.Combine(host.RunnersFolder, "nodejs", "node_modules");
        return Directory.Exists(beside)
            ? beside
            : RuntimeHost.LookAbove(static folder => Path.Combine(folder, "runtimes", "nodejs", "node_modules") is var modules && Directory.Exists(modules) ? modules : null);
    }
}

/// <summary>How Node.js is found and used (in section <c>Runtimes</c>).</summary>
public sealed class NodeOptions
{
    /// <summary>Path of the Node.js program, version 20 or later, which must exist; empty looks for it on PATH.</summary>
    public string NodePath { get; set; } = "";

    /// <summary>Folder with the npm packages that every Node.js action finds, such as <c>openwhisk</c>; empty means <c>nodejs/node_modules</c> in the folder with the runners.</summary>
    public string NodeModulesFolder { get; set; } = "";

    /// <summary>True lets a zip with dependencies and without <c>node_modules</c> run <c>npm install</c> while it is initialised.</summary>
    public bool NpmInstallAtInit { get; set; }

    /// <summary>The first rule that is broken, naming key, rule and value; null when all hold.</summary>
    public string? Validate() =>
        RuntimesOptions.Missing(nameof(NodePath), NodePath, "a program", File.Exists)
        ?? RuntimesOptions.Missing(nameof(NodeModulesFolder), NodeModulesFolder, "a folder", Directory.Exists);
}
