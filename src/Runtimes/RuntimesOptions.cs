namespace Frusta.Runtimes;

/// <summary>How runtimes are found and spoken to (section <c>Runtimes</c>).</summary>
public sealed class RuntimesOptions
{
    /// <summary>Name of the section.</summary>
    public const string Section = "Runtimes";

    /// <summary>Path of the Node.js program, version 20 or later; empty looks for it on PATH.</summary>
    public string NodePath { get; set; } = "";

    /// <summary>Path of the Python program, version 3.10 or later.</summary>
    public string PythonPath { get; set; } = "/usr/bin/python3";

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
        if (PrimingRuns is < 0 or > 1000)
        {
            return $"{Section}:{nameof(PrimingRuns)} must be from 0 to 1000, but it is {PrimingRuns}.";
        }

        return OutputTickMs is < 1 or > 1000
            ? $"{Section}:{nameof(OutputTickMs)} must be from 1 to 1000, but it is {OutputTickMs}."
            : null;
    }
}
