using System.Diagnostics;
using System.Globalization;

namespace Frusta.Sandboxes.Layout;

/// <summary>Host users that this instance may give to its sandboxes: one each, so that they cannot signal, trace, or count against each other.</summary>
internal sealed class UserRange
{
    // The id that was given back last is used again last, so that the kernel has time to free the things of the user's former sandbox.
    private readonly Queue<uint> _free;
    private readonly Lock _lock = new();

    private UserRange(uint first, int count)
    {
        _free = new Queue<uint>(Enumerable.Range(0, count).Select(i => first + (uint)i));
    }

    /// <summary>Claims the first range, from the option's first user on, that no other instance in this run folder has. To be called under the run lock.</summary>
    internal static UserRange Claim(SandboxesOptions options, InstanceFolder instance)
    {
        var taken = InstanceFolder.Noted(options, NoteKind.Users).Select(static first => uint.Parse(first, CultureInfo.InvariantCulture)).ToHashSet();
        var first = options.FirstUserId;
        while (taken.Contains(first))
        {
            first += (uint)options.UserIds;
        }

        instance.Note(NoteKind.Users, first.ToString(CultureInfo.InvariantCulture));
        return new UserRange(first, options.UserIds);
    }

    /// <exception cref="SandboxStartException">All are in use.</exception>
    internal uint Take()
    {
        lock (_lock)
        {
            return _free.TryDequeue(out var user) ? user : throw new SandboxStartException($"All host users for sandboxes are in use. More can be allowed with {SandboxesOptions.Section}:{nameof(SandboxesOptions.UserIds)}.");
        }
    }

    internal void GiveBack(uint user)
    {
        lock (_lock)
        {
            Debug.Assert(!_free.Contains(user), "Two sandboxes would have one user.");
            _free.Enqueue(user);
        }
    }
}
