namespace Frusta.Contracts.Options;

/// <summary>Marks options of one part of a room that have no section of their own: their keys stand in the section of the class that holds them.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class SameSectionAttribute : Attribute;
