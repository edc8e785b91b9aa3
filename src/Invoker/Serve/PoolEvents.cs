using Frusta.Invoker.Pool;
using Frusta.Invoker.Run;

namespace Frusta.Invoker.Serve;

/// <summary>Tells the pool what has happened, and has carried out what it then wants. Safe on any thread: the room has a lock of its own.</summary>
/// <param name="room">The pool.</param>
/// <param name="clock">Says when it happened.</param>
/// <param name="execute">Carries out what follows.</param>
internal sealed class PoolEvents(Room room, PoolClock clock, Action<List<PoolAction>> execute)
{
    /// <summary>The event, with the room, the time in microseconds, and a list for what follows.</summary>
    public void Tell(Action<Room, long, List<PoolAction>> happened)
    {
        var actions = new List<PoolAction>();
        happened(room, clock.NowUs, actions);
        execute(actions);
    }
}
