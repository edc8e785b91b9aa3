namespace Frusta.Sandboxes.Cgroups;

/// <summary>Has the processes of one sandbox stand still, and go on. Both take longer the more tasks there are: some milliseconds for a thousand.</summary>
internal abstract class Freezer
{
    private readonly Lock _lock = new();
    private bool _mayStand; // also after a freeze that failed half way
    private bool _frozen;
    private bool _ending;

    /// <summary>True where a process that was killed while it was frozen ends only when it is thawed.</summary>
    protected abstract bool KeepsTheKilled { get; }

    /// <summary>Moves a process in; what it starts later is in as well.</summary>
    internal abstract void Attach(int pid);

    /// <summary>Removes the group, when it is one of its own; false while something is in it.</summary>
    internal abstract bool TryRemove();

    /// <summary>From now on nothing in it runs. False when that was so before, or when the sandbox is being ended.</summary>
    /// <exception cref="IOException">The kernel refused.</exception>
    internal bool Freeze()
    {
        lock (_lock)
        {
            if (_frozen || _ending)
            {
                return false;
            }

            _mayStand = true;
            Set(frozen: true);
            _frozen = true;
            return true;
        }
    }

    /// <summary>Lets it go on where it stood, also where <see cref="Freeze"/> failed half way. True for each <see cref="Freeze"/> that was true, once.</summary>
    /// <exception cref="IOException">The kernel refused.</exception>
    internal bool Thaw()
    {
        lock (_lock)
        {
            if (!_mayStand)
            {
                return false;
            }

            Set(frozen: false);
            var was = _frozen;
            _mayStand = _frozen = false;
            return was;
        }
    }

    /// <summary>To be called when all in it has been killed: lets that end, and freezes nothing any more. True as of <see cref="Thaw"/>.</summary>
    internal bool Release()
    {
        lock (_lock)
        {
            var (was, mayStand) = (_frozen, _mayStand);
            (_frozen, _mayStand, _ending) = (false, false, true);
            try
            {
                if (mayStand && KeepsTheKilled)
                {
                    Set(frozen: false);
                }
            }
            catch (IOException)
            {
                // The group is gone, and what was in it.
            }

            return was;
        }
    }

    protected abstract void Set(bool frozen);
}
