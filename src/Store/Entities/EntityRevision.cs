using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Frusta.Store.Entities;

/// <summary>Makes revisions in CouchDB's form: generation, hyphen, 32 hexadecimal digits of a hash of the content.</summary>
internal static class EntityRevision
{
    /// <summary>The revision that follows <paramref name="previous"/> (empty for none) when this content is written.</summary>
    public static string Next(string previous, ReadOnlySpan<byte> body, ReadOnlySpan<byte> code)
    {
#pragma warning disable CA5351 // As in CouchDB the hash is MD5: it names a content and protects nothing.
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.MD5);
#pragma warning restore CA5351
        hash.AppendData(Encoding.UTF8.GetBytes(previous));
        hash.AppendData(body);
        hash.AppendData(code);
        Span<byte> digest = stackalloc byte[16];
        hash.GetHashAndReset(digest);
        return string.Create(CultureInfo.InvariantCulture, $"{Generation(previous) + 1}-{Convert.ToHexStringLower(digest)}");
    }

    /// <summary>The number before the hyphen; 0 for an empty revision or one of another shape.</summary>
    public static long Generation(ReadOnlySpan<char> revision)
    {
        var hyphen = revision.IndexOf('-');
        return hyphen > 0 && long.TryParse(revision[..hyphen], NumberStyles.None, CultureInfo.InvariantCulture, out var generation)
            ? generation
            : 0;
    }
}
