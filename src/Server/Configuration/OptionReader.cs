using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Reflection;
using Frusta.Contracts.Options;
using Microsoft.Extensions.Configuration;

namespace Frusta.Server.Configuration;

/// <summary>
/// Sets options from the configuration, and refuses each entry that it cannot set, by name. The framework's binder is not used, since it passes over
/// mistakes in silence: one value for a list, keys below a value, an entry that is no option.
/// </summary>
internal sealed class OptionReader(IConfigurationRoot configuration)
{
    private const string Table = "docs/reference/options.md lists all options.";

    // Options of earlier versions, and what to use in their place.
    private static readonly Dictionary<string, string> Replaced = new(StringComparer.OrdinalIgnoreCase)
    {
        ["Invoker:Pool:IdleMarginMb"] = "all idle sandboxes now share one reserve, Invoker:Pool:ReserveMb, instead of a margin each.",
    };

    /// <summary>Sets the options of one section and of those within it.</summary>
    /// <param name="path">The section, such as <c>Invoker:Pool</c>.</param>
    /// <param name="options">Its options as they are by default.</param>
    /// <exception cref="StartRefusedException">An entry cannot be set; the message names it.</exception>
    public void Read(string path, object options)
    {
        var section = configuration.GetSection(path);
        if (!string.IsNullOrEmpty(section.Value))
        {
            throw new StartRefusedException($"{path} is a section of options and takes no value itself. {Table}");
        }

        foreach (var child in section.GetChildren())
        {
            if (options is IDictionary entries)
            {
                var name = entries.Keys.Cast<string>().FirstOrDefault(name => string.Equals(name, child.Key, StringComparison.OrdinalIgnoreCase));
                Read($"{path}:{name}", name is null ? throw Unknown(path, child.Key) : entries[name]!);
                continue;
            }

            var (property, owner) = Find(options, child.Key) ?? throw Unknown(path, child.Key);
            Set(property, owner, $"{path}:{property.Name}", child);
        }
    }

    [UnconditionalSuppressMessage("Trimming", "IL2075", Justification = "This program is not trimmed; where it were, an option without its property would be refused, not passed over.")]
    private static (PropertyInfo Property, object Owner)? Find(object options, string key)
    {
        var type = options.GetType();
        if (type.GetProperty(key, BindingFlags.Public | BindingFlags.Instance | BindingFlags.IgnoreCase) is { SetMethod.IsPublic: true } found)
        {
            return (found, options);
        }

        var parts = type.GetProperties().Where(static property => property.IsDefined(typeof(SameSectionAttribute)));
        return parts.Select(part => Find(part.GetValue(options)!, key)).FirstOrDefault(static inside => inside is not null);
    }

    private static StartRefusedException Unknown(string path, string key) => new(Replaced.TryGetValue($"{path}:{key}", out var now)
        ? $"{path}:{key} is no option any more: {now} Take it out of the configuration. {Table}"
        : $"Section {path} has no option {key}. {Table}");

    private void Set(PropertyInfo property, object options, string path, IConfigurationSection given)
    {
        if (property.PropertyType == typeof(IList<string>))
        {
            property.SetValue(options, ReadList(path) ?? property.GetValue(options));
        }
        else if (property.PropertyType.IsClass && property.PropertyType != typeof(string))
        {
            Read(path, property.GetValue(options)!);
        }
        else if (given.GetChildren().FirstOrDefault() is { } below)
        {
            throw new StartRefusedException($"{path} is one value, so that there is no option {path}:{below.Key}. {Table}");
        }
        else if (given.Value is { } text)
        {
            property.SetValue(options, Parse(property.PropertyType, path, text));
        }
    }

    private static object Parse(Type type, string path, string text)
    {
        var invariant = CultureInfo.InvariantCulture;
        return type switch
        {
            _ when type == typeof(string) => text,
            _ when type == typeof(bool) => bool.TryParse(text, out var flag) ? flag : throw Refuse("true or false", least: null),
            _ when type == typeof(int) => int.TryParse(text, NumberStyles.Integer, invariant, out var number) ? number : throw Refuse("a whole number", int.MinValue),
            _ when type == typeof(uint) => uint.TryParse(text, NumberStyles.Integer, invariant, out var number) ? number : throw Refuse("a whole number", uint.MinValue),
            _ when type == typeof(long) => long.TryParse(text, NumberStyles.Integer, invariant, out var number) ? number : throw Refuse("a whole number", long.MinValue),
            _ when type == typeof(TimeSpan) => TimeSpan.TryParse(text, invariant, out var time) ? time : throw Refuse("a time as d.hh:mm:ss", least: null),
            _ => throw new NotSupportedException($"{path} is of a type that no option can have."),
        };

        // The words for the allowed values come from the option's rule: it is broken with the least value of the type, and its message is taken.
        StartRefusedException Refuse(string kind, IFormattable? least)
        {
            var rule = least is null ? null : FrustaOptions.Broken(path, least.ToString(null, invariant));
            var wanted = rule?.Split(", but ") is [var words, _] && path.StartsWith(words.Split(' ')[0], StringComparison.Ordinal) ? words : $"{path} must be {kind}";
            var it = wanted.StartsWith(path, StringComparison.Ordinal) ? "it" : path[(path.LastIndexOf(':') + 1)..];
            return new StartRefusedException($"{wanted}, but {it} is '{text}'.");
        }
    }

    /// <summary>
    /// Reads a list that is given as one value, split at commas, or as an entry for each item. Null when none is given. The strongest source that has one
    /// gives the whole list.
    /// </summary>
    private List<string>? ReadList(string path)
    {
        foreach (var source in configuration.Providers.Reverse())
        {
            string[] keys = [.. source.GetChildKeys([], path).Distinct(StringComparer.OrdinalIgnoreCase)];
            if (source.TryGet(path, out var text) && text is not null)
            {
                return keys.Length == 0
                    ? [.. text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)]
                    : throw new StartRefusedException($"{path} is given both as one value and entry by entry ({path}:{keys[0]}). Use only one of these forms.");
            }

            if (keys.Length > 0)
            {
                return [.. keys.Select(key => int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out _)
                    && source.TryGet($"{path}:{key}", out var entry) && entry is not null
                        ? entry
                        : throw new StartRefusedException($"{path} is a list of texts, so that there is no option {path}:{key} of another kind."))];
            }
        }

        return null;
    }
}
