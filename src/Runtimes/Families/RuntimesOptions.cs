namespace Frusta.Runtimes.Families;

/// <summary>How runtimes are found and spoken to (section <c>Runtimes</c>).</summary>
public sealed class RuntimesOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Runtimes";

    /// <summary>A runner that every folder with runners has.</summary>
    internal const string NodeRunner = "nodejs/runner.js";

    private const string StockPython = "/usr/bin/python3";

    /// <summary>Path of the Node.js program, version 20 or later, which must be there; empty looks for it on PATH.</summary>
    public string NodePath { get; set; } = "";

    /// <summary>Path of the Python program, version 3.10 or later; another one than the stock one must be there.</summary>
    public string PythonPath { get; set; } = StockPython;

    /// <summary>Folder with the runners, one folder a family; empty looks beside the program and above it.</summary>
    public string RunnersFolder { get; set; } = "";

    /// <summary>Folder with the npm packages that every Node.js action finds, such as <c>openwhisk</c>; empty means <c>nodejs/node_modules</c> in the folder with the runners.</summary>
    public string NodeModulesFolder { get; set; } = "";

    /// <summary>True lets a zip with dependencies and without <c>node_modules</c> run <c>npm install</c> while it is initialised.</summary>
    public bool NpmInstallAtInit { get; set; }

    /// <summary>Dummy runs that warm a stem cell. 0 to 1000.</summary>
    public int PrimingRuns { get; set; } = 12;

    /// <summary>Milliseconds between two looks at the output of running activations: how long a full pipe may hold up user code before it is read along. 1 to 1000.</summary>
    public int OutputTickMs { get; set; } = 2;

    /// <summary>The first rule that is broken, naming key, rule and value; null when all hold.</summary>
    public string? Validate()
    {
        (string Key, string Path, string What, bool IsThere)[] paths =
        [
            (nameof(NodePath), NodePath, "a program", File.Exists(NodePath)),
            (nameof(PythonPath), PythonPath, "a program", PythonPath is StockPython || File.Exists(PythonPath)), // a host without Python is none with a mistake
            (nameof(RunnersFolder), RunnersFolder, "a folder with runners", File.Exists(Path.Combine(RunnersFolder, NodeRunner))),
            (nameof(NodeModulesFolder), NodeModulesFolder, "a folder", Directory.Exists(NodeModulesFolder)),
        ];
        foreach (var (key, path, what, isThere) in paths)
        {
            if (path.Length > 0 && !isThere)
            {
                return $"{Section}:{key} must be the path of {what}, but there is none at {Path.GetFullPath(path)}.";
            }
        }

        if (PrimingRuns is < 0 or > 1000)
        {
            return $"{Section}:{nameof(PrimingRuns)} must be from 0 to 1000, but it is {PrimingRuns}.";
        }

        return OutputTickMs is < 1 or > 1000
            ? $"{Section}:{nameof(OutputTickMs)} must be from 1 to 1000, but it is {OutputTickMs}."
            : null;
    }
}
