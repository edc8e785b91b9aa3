using System.Text;
using Frusta.Contracts.Names;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Api;

/// <summary>The collections under a namespace.</summary>
public enum Collection : byte
{
    Actions,
    Triggers,
    Rules,
    Packages,
    Activations,
    Limits,
}

/// <summary>The parts of a path under <c>/api/v1/namespaces</c>.</summary>
/// <param name="Namespace">Decoded and checked; <c>_</c> is already replaced by the caller's.</param>
/// <param name="Collection">The collection.</param>
/// <param name="Package">Package of an action, or of a list of one package's actions; for an activation, the word behind its id.</param>
/// <param name="Name">Name or id; null is the collection itself.</param>
public readonly record struct Route(string Namespace, Collection Collection, string? Package, string? Name)
{
    private const int MostSegments = 6;

    /// <summary>Reads the part of a path behind <c>/api/v1/namespaces/</c>, as it was sent.</summary>
    /// <returns>Null with the route, or the refusal.</returns>
    public static ApiAnswer? Read(ReadOnlySpan<char> path, string callersNamespace, out Route route)
    {
        route = default;
        Span<Range> ranges = stackalloc Range[MostSegments + 1];
        var count = path.Split(ranges, '/');
        if (count < 1 || !TryDecode(path[ranges[0]], out var ns))
        {
            return count < 1 ? NoRoute() : BadEscape();
        }

        if (ns.Length == 0 || count < 2)
        {
            return NoRoute();
        }

        if (CheckNamespace(ns) is { } illegal)
        {
            return illegal;
        }

        if (count > MostSegments || CollectionOf(path[ranges[1]]) is not { } collection)
        {
            return NoRoute();
        }

        if (string.Equals(ns, "_", StringComparison.Ordinal))
        {
            ns = callersNamespace;
        }

        var names = new string[count - 2];
        for (var i = 0; i < names.Length; i++)
        {
            if (!TryDecode(path[ranges[i + 2]], out names[i]))
            {
                return BadEscape();
            }
        }

        return Place(ns, collection, names, out route);
    }

    private static ApiAnswer? Place(string ns, Collection collection, string[] names, out Route route)
    {
        route = new Route(ns, collection, null, null);
        if (names.Length == 0 || (names.Length == 1 && names[0].Length == 0))
        {
            return null;
        }

        if (collection == Collection.Limits)
        {
            return ApiAnswer.Error(400, "Inner entity level routes for limits are not yet implemented.");
        }

        if (names[0].Length == 0)
        {
            return NoRoute();
        }

        return collection switch
        {
            Collection.Activations => PlaceActivation(ns, names, out route),
            Collection.Actions => PlaceAction(ns, names, out route),
            _ => PlaceEntity(ns, collection, names, out route),
        };
    }

    private static ApiAnswer? PlaceActivation(string ns, string[] names, out Route route)
    {
        route = new Route(ns, Collection.Activations, names.Length > 1 && names[1].Length > 0 ? names[1] : null, names[0]);
        return names.Length > 2 ? NoRoute() : null;
    }

    private static ApiAnswer? PlaceAction(string ns, string[] names, out Route route)
    {
        route = default;
        if (CheckName(names[0]) is { } illegal)
        {
            return illegal;
        }

        switch (names)
        {
            case [var name]:
                route = new Route(ns, Collection.Actions, null, name);
                return null;
            case [var package, ""]:
                route = new Route(ns, Collection.Actions, package, null);
                return null;
            case [var package, var name]:
                route = new Route(ns, Collection.Actions, package, name);
                return CheckName(name);
            default:
                return NoRoute();
        }
    }

    private static ApiAnswer? PlaceEntity(string ns, Collection collection, string[] names, out Route route)
    {
        route = new Route(ns, collection, null, names[0]);
        return CheckName(names[0]) ?? (names.Length > 1 ? NoRoute() : null);
    }

    private static ApiAnswer? CheckNamespace(string ns)
    {
        if (ns.Length > EntityName.MaxLength)
        {
            return ApiAnswer.Error(400, $"Namespace longer than allowed: {ns.Length} > {EntityName.MaxLength}.");
        }

        return EntityName.IsValid(ns) ? null : ApiAnswer.Error(400, "The namespace contains illegal characters.");
    }

    private static ApiAnswer? CheckName(string name)
    {
        if (name.Length > EntityName.MaxLength)
        {
            // The misspelling is OpenWhisk's, and clients have seen it for years.
            return ApiAnswer.Error(400, $"Name segement longer than allowed: {name.Length} > {EntityName.MaxLength}.");
        }

        return EntityName.IsValid(name) ? null : ApiAnswer.Error(400, "The name of the entity contains illegal characters.");
    }

    private static Collection? CollectionOf(ReadOnlySpan<char> word) => word switch
    {
        "actions" => Collection.Actions,
        "triggers" => Collection.Triggers,
        "rules" => Collection.Rules,
        "packages" => Collection.Packages,
        "activations" => Collection.Activations,
        "limits" => Collection.Limits,
        _ => null,
    };

    private static ApiAnswer NoRoute() => ApiAnswer.Error(404, ApiTexts.NoRoute);

    private static ApiAnswer BadEscape() => ApiAnswer.Error(400, "Illegal request-target: a percent escape is malformed");

    /// <summary>Undoes percent escapes; false when an escape is malformed or the bytes that result are not UTF-8.</summary>
    private static bool TryDecode(ReadOnlySpan<char> segment, out string decoded)
    {
        if (!segment.Contains('%'))
        {
            decoded = segment.ToString();
            return true;
        }

        decoded = "";
        var bytes = new byte[Encoding.UTF8.GetMaxByteCount(segment.Length)];
        var length = 0;
        for (var i = 0; i < segment.Length; i++)
        {
            if (segment[i] != '%')
            {
                length += Encoding.UTF8.GetBytes(segment.Slice(i, 1), bytes.AsSpan(length));
                continue;
            }

            if (i + 2 >= segment.Length || !char.IsAsciiHexDigit(segment[i + 1]) || !char.IsAsciiHexDigit(segment[i + 2]))
            {
                return false;
            }

            bytes[length++] = Convert.FromHexString(segment.Slice(i + 1, 2))[0];
            i += 2;
        }

        if (!System.Text.Unicode.Utf8.IsValid(bytes.AsSpan(0, length)))
        {
            return false;
        }

        decoded = Encoding.UTF8.GetString(bytes, 0, length);
        return true;
    }
}
