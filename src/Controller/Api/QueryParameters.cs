using System.Globalization;
using Frusta.Contracts.Limits;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Api;

/// <summary>The query of a request. Of a parameter given twice the first counts; unknown parameters are ignored.</summary>
public readonly struct QueryParameters(string? query)
{
    /// <summary>The query as it was sent, with its question mark; null when there is none.</summary>
    public string? Raw { get; } = query;

    /// <summary>The decoded value; null when the parameter is absent, empty when it has no value.</summary>
    public string? this[string name]
    {
        get
        {
            var rest = Raw.AsSpan();
            if (rest.IsEmpty)
            {
                return null;
            }

            rest = rest[1..];
            while (!rest.IsEmpty)
            {
                var end = rest.IndexOf('&');
                var pair = end < 0 ? rest : rest[..end];
                rest = end < 0 ? [] : rest[(end + 1)..];
                var equals = pair.IndexOf('=');
                var key = equals < 0 ? pair : pair[..equals];
                if (key.SequenceEqual(name) || (key.ContainsAny('%', '+') && string.Equals(Decode(key), name, StringComparison.Ordinal)))
                {
                    return equals < 0 ? "" : Decode(pair[(equals + 1)..]);
                }
            }

            return null;
        }
    }

    /// <summary>Reads a boolean; an absent or empty one is the default.</summary>
    internal Reading<bool> Boolean(string name, bool byDefault)
    {
        var text = this[name];
        if (string.IsNullOrEmpty(text))
        {
            return byDefault;
        }

        return text.ToLowerInvariant() switch
        {
            "true" or "yes" or "on" or "1" => true,
            "false" or "no" or "off" or "0" => false,
            var other => Refusal.MalformedQuery(name, $"'{other}' is not a valid Boolean value"),
        };
    }

    /// <summary>Reads <c>limit</c>, <c>skip</c> and <c>count</c> of a list.</summary>
    /// <param name="collection">The word of the path, which the texts name.</param>
    /// <param name="limits">The system's limits of a list.</param>
    internal Reading<ListPage> Page(string collection, LimitsOptions limits)
    {
        var limit = limits.DefaultListLimit;
        var skip = 0;
        if (this["skip"] is { } skipText)
        {
            if (!TryInteger(skipText, out skip))
            {
                return Refusal.MalformedQuery("skip", $"The value '{skipText}' is not an integer for {collection}.");
            }

            if (skip < 0)
            {
                return Refusal.MalformedQuery("skip", $"The value '{skip}' is not greater than or equal to 0 for {collection}.");
            }
        }

        if (this["limit"] is { } limitText)
        {
            if (!TryInteger(limitText, out limit))
            {
                return Refusal.MalformedQuery("limit", $"The value '{limitText}' is not an integer for {collection}.");
            }

            if (limit < 0 || limit > limits.MaxListLimit)
            {
                return Refusal.MalformedQuery("limit", $"The value '{limit}' is not in the range of 0 to {limits.MaxListLimit} for {collection}.");
            }
        }

        return Boolean("count", byDefault: false).TryGet(out var count, out var refusal)
            ? new ListPage(skip, limit == 0 ? limits.MaxListLimit : limit, count)
            : refusal;
    }

    private static bool TryInteger(string text, out int value) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value);

    private static string Decode(ReadOnlySpan<char> text) =>
        text.ContainsAny('%', '+') ? Uri.UnescapeDataString(text.ToString().Replace('+', ' ')) : text.ToString();
}

/// <summary>A page of a list.</summary>
/// <param name="Skip">How many to leave out at the start.</param>
/// <param name="Limit">Greatest number of entries.</param>
/// <param name="Count">True when only their number is asked for.</param>
public readonly record struct ListPage(int Skip, int Limit, bool Count);
