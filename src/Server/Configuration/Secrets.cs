using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Frusta.Contracts.Options;
using Microsoft.Extensions.Configuration;

namespace Frusta.Server.Configuration;

/// <summary>Tells which options are secrets, and keeps them out of places where others could read them: see <see cref="SecretAttribute"/>.</summary>
internal static class Secrets
{
    private const UnixFileMode ReadByOthers = UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>True when a key such as <c>Section:Key</c> is the key of a secret, or stands below one.</summary>
    public static bool IsSecret(string key)
    {
        object? options = new FrustaOptions();
        foreach (var segment in key.Split(':'))
        {
            if (options is IDictionary entries)
            {
                var name = entries.Keys.Cast<string>().FirstOrDefault(name => string.Equals(name, segment, StringComparison.OrdinalIgnoreCase));
                options = name is null ? null : entries[name];
                continue;
            }

            if (options is null || Find(options.GetType(), segment) is not { } property)
            {
                return false;
            }

            if (property.IsDefined(typeof(SecretAttribute)))
            {
                return true;
            }

            options = property.GetValue(options);
        }

        return false;
    }

    /// <summary>Removes secrets from this process' environment, so that programs which it starts do not inherit them. Call it once the options are read.</summary>
    public static void ForgetVariables(string prefix)
    {
        foreach (var name in Environment.GetEnvironmentVariables().Keys.Cast<string>())
        {
            if (name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase)
                && IsSecret(name[prefix.Length..].Replace("__", ":", StringComparison.Ordinal)))
            {
                Environment.SetEnvironmentVariable(name, null);
            }
        }
    }

    /// <summary>A warning when other users of the host may read a file with secrets; null when they may not, or it holds none.</summary>
    public static string? Exposed(string file)
    {
        if (OperatingSystem.IsWindows() || (File.GetUnixFileMode(file) & ReadByOthers) == UnixFileMode.None)
        {
            return null;
        }

        var holds = new ConfigurationBuilder().AddJsonFile(file, optional: false).Build().AsEnumerable().Any(pair => pair.Value is not null && IsSecret(pair.Key));
        return holds ? $"'{file}' holds secrets, and others on this host may read it: chmod 600 it" : null;
    }

    [UnconditionalSuppressMessage("Trimming", "IL2070", Justification = "This program is not trimmed.")]
    private static PropertyInfo? Find(Type type, string name) => type.GetProperty(name, BindingFlags.Public | BindingFlags.Instance | BindingFlags.IgnoreCase);
}
