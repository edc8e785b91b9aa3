namespace Frusta.Contracts.Options;

/// <summary>Marks a property with options that have no section of their own: their keys stand in the section of the class with this property.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class SameSectionAttribute : Attribute;
