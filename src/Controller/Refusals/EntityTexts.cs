namespace Frusta.Controller.Refusals;

/// <summary>Texts of the entities' API, known to OpenWhisk's clients.</summary>
public static class EntityTexts
{
    /// <summary>The most characters of a client's text that an error repeats.</summary>
    internal const int MostShown = 4096;

    public const string ParametersMalformed = "parameters malformed!";
    public const string VersionMalformed = "semantic version malformed";
    public const string NameMalformed = "fully qualified name malformed";
    public const string NameTooShort =
        "requirement failed: The fully qualified name of the entity must contain at least the namespace and the name of the entity.";
    public const string PathUndefined = "requirement failed: path undefined";
    public const string ExecUndefined = "exec undefined";
    public const string ImageMalformed = "could not parse image name";
    public const string NegativeSize = "requirement failed: a negative size of an object is not allowed.";
    public const string NegativeInstances = "requirement failed: Action container concurrency must be greater than or equal to 0.";
    public const string OnBinding = "Operation not permitted on package binding.";
    public const string SequenceTooLong = "Too many actions in the sequence.";
    public const string SequenceEmpty = "No component specified for the sequence.";
    public const string SequenceCyclic = "Sequence may not refer to itself.";
    public const string ComponentMissing = "Sequence component does not exist.";
    public const string BindsMissing = "Binding references a package that does not exist.";
    public const string BindsOther = "Cannot bind to a resource that is not a package.";
    public const string BindsBinding = "Cannot bind to another package binding.";
    public const string NoConversion = "Resource is a package and cannot be converted into a binding.";
    public const string ReservedName = "Package name 'default' is reserved.";
    public const string FeedMalformed = "Feed name is not valid";
    public const string RuleIncomplete = "rule requires a valid trigger and a valid action";
    public const string RuleWithoutTrigger = "Only rules with existing triggers can be activated";

    /// <summary>A text that a client sent, or the beginning of it.</summary>
    internal static string Shown(string sent) => sent.Length <= MostShown ? sent : sent[..MostShown];

    public static string NotAuthorized(string name) => $"The supplied authentication is not authorized to access '{name}'.";

    public static string KindNotAuthorized(string kind) => $"The supplied authentication is not authorized to access actions of kind '{kind}'.";

    public static string NamedMissing(string name) => $"The requested resource '{name}' does not exist.";

    public static string Circular(string name) => $"Package binding '{name}' contains a circular reference.";

    public static string TooLarge(string what, long size, long limit) => $"{what} larger than allowed: {size} > {limit} bytes.";

    public static string MissingMember(string name) => $"Object is missing required member '{name}'";

    public static string InvalidParts(string parts) => $"requirement failed: path contains invalid parts {parts}";

    public static string PackageNotEmpty(int entities) =>
        $"Package not empty (contains {entities} {(entities == 1 ? "entity" : "entities")}). Set force param or delete package contents.";

    public static string InstancesExceed(int limit) => $"Max action instance concurrency must not exceed your namespace concurrency of {limit}.";

    public static string ReferenceMissing(string what, string name) => $"{what} /{name} does not exist";
}
