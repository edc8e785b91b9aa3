using System.Text;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Json;

namespace Frusta.Contracts.Parameters;

/// <summary>
/// The parameters that are bound to an action, ready to be spliced under a request's: package, binding and action
/// merged once and kept as bytes as long as their documents keep their revisions.
/// </summary>
public sealed class ParameterLayer
{
    private readonly Entry[] _entries;

    private ParameterLayer(Entry[] entries, string[] initNames)
    {
        _entries = entries;
        InitNames = initNames;
        foreach (var entry in entries)
        {
            SizeBytes += entry.Member.Length + 1;
        }
    }

    /// <summary>No parameter at all.</summary>
    public static ParameterLayer Empty { get; } = new([], []);

    /// <summary>Names of the parameters that go to the environment at init.</summary>
    public IReadOnlyList<string> InitNames { get; }

    /// <summary>Bytes that the members take in an object, with a comma each.</summary>
    public int SizeBytes { get; }

    internal ReadOnlySpan<Entry> Entries => _entries;

    /// <summary>Merges layers; of parameters with the same name the last counts, with its own <c>init</c>.</summary>
    public static ParameterLayer Merge(params ReadOnlySpan<IReadOnlyList<KeyValue>> layers)
    {
        var merged = new OrderedDictionary<string, KeyValue>(StringComparer.Ordinal);
        foreach (var layer in layers)
        {
            foreach (var parameter in layer)
            {
                merged[parameter.Key] = parameter;
            }
        }

        if (merged.Count == 0)
        {
            return Empty;
        }

        var entries = new List<Entry>(merged.Count);
        var initNames = new List<string>();
        foreach (var parameter in merged.Values)
        {
            entries.Add(Prepare(parameter));
            if (parameter.Init)
            {
                initNames.Add(parameter.Key);
            }
        }

        return new ParameterLayer([.. entries], [.. initNames]);
    }

    private static Entry Prepare(KeyValue parameter)
    {
        var name = Encoding.UTF8.GetBytes(parameter.Key);
        using var member = PooledBuffer.Rent(name.Length + parameter.Value.Length + 3);
        JsonText.WriteString(member, parameter.Key);
        member.Write(":"u8);
        member.Write(parameter.Value.Span);
        return new Entry(name, MemberTable.Hash(name), member.Span.ToArray(), !parameter.IsNull);
    }

    /// <param name="Name">The unescaped name.</param>
    /// <param name="Hash">Hash of the name.</param>
    /// <param name="Member"><c>"name":value</c>.</param>
    /// <param name="Bound">False for a parameter that is only declared: its value is <c>null</c>, and <c>final</c> does not protect it.</param>
    internal readonly record struct Entry(byte[] Name, int Hash, byte[] Member, bool Bound);
}
