using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using Frusta.Contracts.Entities;

namespace Frusta.Controller.Identities;

/// <summary>The subjects that may call this server, each with one key, in memory.</summary>
/// <remarks>
/// A lookup costs less than a cache of headers would, since it hashes only the uuid; the key itself is compared in constant
/// time.
/// </remarks>
public sealed class Subjects
{
    /// <summary>Length of a key, in characters.</summary>
    public const int KeyLength = 64;

    /// <summary>The keys that every OpenWhisk comes with; they are publicly known.</summary>
    public static IReadOnlyDictionary<string, string> Stock { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["guest"] = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP",
        ["whisk.system"] = "789c46b1-71f6-4ed5-8c54-816aa4f8c502:abczO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP",
    };

    private readonly FrozenDictionary<string, Known> _byUuid;
    private readonly FrozenDictionary<string, Known>.AlternateLookup<ReadOnlySpan<char>> _lookup;

    private Subjects(IEnumerable<Known> known)
    {
        _byUuid = known.ToFrozenDictionary(one => one.Identity.NamespaceUuid, StringComparer.Ordinal);
        _lookup = _byUuid.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>All identities, for the start screen and for recovery.</summary>
    public IEnumerable<Identity> Identities => _byUuid.Values.Select(known => known.Identity);

    /// <summary>Reads subjects (name to <c>UUID:KEY</c>); a further subject replaces a stock subject of the same name.</summary>
    /// <param name="further">Subjects of the configuration.</param>
    /// <param name="withStock">False where the stock keys must not be let in.</param>
    /// <param name="subjects">The subjects, when all are well-formed.</param>
    /// <returns>A sentence on the first subject that is wrong, without its key; null when all are right.</returns>
    public static string? Read(IReadOnlyDictionary<string, string> further, bool withStock, out Subjects? subjects)
    {
        subjects = null;
        var all = new Dictionary<string, string>(withStock ? Stock : new Dictionary<string, string>(StringComparer.Ordinal), StringComparer.Ordinal);
        foreach (var (name, pair) in further)
        {
            var colon = pair.IndexOf(':', StringComparison.Ordinal);
            if (colon < 1 || pair.Length - colon - 1 != KeyLength)
            {
                return $"Subjects:{name} must be UUID:KEY with a key of {KeyLength} characters.";
            }

            if (!Contracts.Names.EntityName.IsValid(name))
            {
                return $"Subjects:{name} cannot be the name of a namespace.";
            }

            all[name] = pair;
        }

        var uuids = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (name, pair) in all)
        {
            if (!uuids.Add(pair[..pair.IndexOf(':', StringComparison.Ordinal)]))
            {
                return $"Subjects:{name} has the UUID of another subject.";
            }
        }

        subjects = new Subjects(all.Select(one => new Known(one.Key, one.Value)));
        return null;
    }

    /// <summary>As <see cref="FindIdentity"/> asks, at once.</summary>
    public ValueTask<Identity?> FindAsync(ReadOnlySpan<char> uuid, ReadOnlySpan<byte> key, CancellationToken cancellationToken) =>
        new(_lookup.TryGetValue(uuid, out var known) && CryptographicOperations.FixedTimeEquals(known.Key, key) ? known.Identity : null);

    private sealed class Known(string name, string pair)
    {
        public byte[] Key { get; } = Encoding.UTF8.GetBytes(pair[(pair.IndexOf(':', StringComparison.Ordinal) + 1)..]);

        public Identity Identity { get; } =
            new(name, name, pair[..pair.IndexOf(':', StringComparison.Ordinal)], pair, NamespaceLimits.None);
    }
}
