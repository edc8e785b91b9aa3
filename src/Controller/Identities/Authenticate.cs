using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Frusta.Contracts.Entities;
using Frusta.Controller.Refusals;

namespace Frusta.Controller.Identities;

/// <summary>Finds the identity of a request from its <c>Authorization</c> header.</summary>
public sealed class Authenticate(Subjects subjects)
{
    /// <summary>No pair of a uuid and a key is longer; what is, is nobody's.</summary>
    private const int MaxPairBytes = 1024;

    private const string Scheme = "Basic ";

    private static readonly (string, string) Challenge = ("WWW-Authenticate", "Basic realm=\"OpenWhisk secure realm\",charset=UTF-8");

    /// <summary>Finds the identity. False with the 401 that says why there is none.</summary>
    public bool TryIdentify(string? authorization, [NotNullWhen(true)] out Identity? identity, [NotNullWhen(false)] out Refusal? refusal)
    {
        identity = null;
        refusal = null;
        if (string.IsNullOrEmpty(authorization) || !authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            refusal = new Refusal(401, ApiTexts.NoCredentials) { Header = Challenge };
            return false;
        }

        identity = Find(authorization.AsSpan(Scheme.Length).Trim());
        if (identity is not null)
        {
            return true;
        }

        refusal = new Refusal(401, ApiTexts.BadCredentials) { Header = Challenge };
        return false;
    }

    private Identity? Find(ReadOnlySpan<char> base64)
    {
        if (base64.Length > MaxPairBytes || !Base64.IsValid(base64))
        {
            return null;
        }

        Span<byte> pair = stackalloc byte[MaxPairBytes];
        if (!Convert.TryFromBase64Chars(base64, pair, out var length))
        {
            return null;
        }

        pair = pair[..length];
        var colon = pair.IndexOf((byte)':');
        if (colon < 0 || pair.Length - colon - 1 != Subjects.KeyLength)
        {
            return null;
        }

        Span<char> uuid = stackalloc char[MaxPairBytes];
        return Encoding.UTF8.TryGetChars(pair[..colon], uuid, out var characters)
            ? subjects.Find(uuid[..characters], pair[(colon + 1)..])
            : null;
    }
}
