namespace Frusta.Contracts.Options;

/// <summary>
/// Marks an option that is a secret, or holds secrets: it comes from the configuration file or the environment. As a flag it would stand in the list
/// of processes, which every user of the host can read, so the command line refuses it by name.
/// </summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class SecretAttribute : Attribute;
